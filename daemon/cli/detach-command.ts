/** `portwright detach` */
import { call } from "../client/call.ts";
import { attachmentIds } from "./attachment-ids.ts";

export async function detachCommand(args: readonly string[], defaultSocket: string): Promise<number> {
  const { socket, ids } = attachmentIds(args, defaultSocket);
  for (const id of ids) {
    await call(socket, { method: "DELETE", path: `/v1/attachments/${encodeURIComponent(id)}` });
    process.stdout.write(`detached ${id}\n`);
  }
  return 0;
}
