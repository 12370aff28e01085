/** Commands that take attachments by their ids, and nothing else. */
import { parseArgs } from "node:util";
import { UsageError } from "./usage-error.ts";

export function attachmentIds(
  args: readonly string[],
  defaultSocket: string,
): { readonly socket: string; readonly ids: readonly string[] } {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: { socket: { type: "string", default: defaultSocket } },
  });
  if (positionals.length === 0) throw new UsageError("which one? portwright ports lists them: CONTAINER/INTERFACE");
  return { socket: values.socket, ids: positionals };
}
