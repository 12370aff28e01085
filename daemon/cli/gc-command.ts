/** `portwright gc` */
import { parseArgs } from "node:util";
import type { Backend } from "../api/backend.ts";
import { call } from "../client/call.ts";

export async function gcCommand(args: readonly string[], defaultSocket: string): Promise<number> {
  const { values } = parseArgs({
    args: [...args],
    options: { socket: { type: "string", default: defaultSocket }, json: { type: "boolean", default: false } },
  });
  const collected = await call<Awaited<ReturnType<Backend["collect"]>>>(values.socket, {
    method: "POST",
    path: "/v1/attachments/gc",
  });
  const { removed, failed } = collected;
  if (values.json) process.stdout.write(`${JSON.stringify(collected, null, 2)}\n`);
  else {
    const lines = removed.length === 0 ? ["nothing to collect"] : removed.map((id) => `removed ${id}`);
    process.stdout.write(`${lines.join("\n")}\n`);
    for (const { id, message } of failed) process.stderr.write(`portwright: ${id} stays for now: ${message}\n`);
  }
  return failed.length === 0 ? 0 : 1;
}
