/** `portwright attach` */
import type { AttachmentView } from "../api/views.ts";
import { call } from "../client/call.ts";
import { attachmentLine } from "../client/attachment-views.ts";
import { attachOptions } from "./attach-options.ts";

export async function attachCommand(args: readonly string[], defaultSocket: string): Promise<number> {
  const { request, socket, json } = attachOptions(args, defaultSocket);
  const made = await call<AttachmentView>(socket, { method: "POST", path: "/v1/attachments", body: request });
  process.stdout.write(json ? `${JSON.stringify(made, null, 2)}\n` : `${attachmentLine(made)}\n`);
  return 0;
}
