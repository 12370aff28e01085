/** `portwright ports` */
import { parseArgs } from "node:util";
import type { AttachmentView, PortView } from "../api/views.ts";
import { attachmentTable } from "../client/attachment-views.ts";
import { getJson } from "../client/get-json.ts";

export async function portsCommand(args: readonly string[], defaultSocket: string): Promise<number> {
  const { values } = parseArgs({
    args: [...args],
    options: { socket: { type: "string", default: defaultSocket }, json: { type: "boolean", default: false } },
  });
  const [{ ports }, { attachments }] = await Promise.all([
    getJson<{ ports: PortView[] }>(values.socket, "/v1/ports"),
    getJson<{ attachments: AttachmentView[] }>(values.socket, "/v1/attachments"),
  ]);
  const text = values.json
    ? JSON.stringify({ ports, attachments }, null, 2)
    : attachmentTable(ports, attachments).join("\n");
  process.stdout.write(`${text}\n`);
  return 0;
}
