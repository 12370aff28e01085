/** `portwright open` */
import type { AttachmentView } from "../api/views.ts";
import { call } from "../client/call.ts";
import { attachmentIds } from "./attachment-ids.ts";

export async function openCommand(args: readonly string[], defaultSocket: string): Promise<number> {
  const { socket, ids } = attachmentIds(args, defaultSocket);
  for (const id of ids) {
    const path = `/v1/attachments/${encodeURIComponent(id)}/open`;
    const { mac } = await call<AttachmentView>(socket, { method: "POST", path });
    process.stdout.write(`opened ${id}, MAC ${mac}\n`);
  }
  return 0;
}
