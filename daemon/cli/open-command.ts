/** `portwright open` */
import { parseArgs } from "node:util";
import type { AttachmentView } from "../api/views.ts";
import { call } from "../client/call.ts";
import { UsageError } from "./usage-error.ts";

export async function openCommand(args: readonly string[], defaultSocket: string): Promise<number> {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: { socket: { type: "string", default: defaultSocket } },
  });
  if (positionals.length === 0) throw new UsageError("which one? portwright ports lists them: CONTAINER/INTERFACE");
  for (const id of positionals) {
    const path = `/v1/attachments/${encodeURIComponent(id)}/open`;
    const { mac } = await call<AttachmentView>(values.socket, { method: "POST", path });
    process.stdout.write(`opened ${id}, MAC ${mac}\n`);
  }
  return 0;
}
