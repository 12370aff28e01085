/** `portwright detach` */
import { parseArgs } from "node:util";
import { call } from "../client/call.ts";
import { UsageError } from "./usage-error.ts";

export async function detachCommand(args: readonly string[], defaultSocket: string): Promise<number> {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: { socket: { type: "string", default: defaultSocket } },
  });
  if (positionals.length === 0) throw new UsageError("which one? portwright ports lists them: CONTAINER/INTERFACE");
  for (const id of positionals) {
    await call(values.socket, { method: "DELETE", path: `/v1/attachments/${encodeURIComponent(id)}` });
    process.stdout.write(`detached ${id}\n`);
  }
  return 0;
}
