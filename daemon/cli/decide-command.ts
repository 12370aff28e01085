/** `portwright confirm` and `portwright rollback` */
import { parseArgs } from "node:util";
import { call } from "../client/call.ts";
import type { TransactionStatus } from "../model/transaction.ts";

const said = {
  confirm: ({ generation }: TransactionStatus) => `Confirmed: kept as generation ${generation}.`,
  rollback: ({ generation }: TransactionStatus) => `Rolled back: generation ${generation} is in force again.`,
} as const;

export async function decideCommand(
  what: keyof typeof said,
  args: readonly string[],
  defaultSocket: string,
): Promise<number> {
  const { values } = parseArgs({
    args: [...args],
    options: { socket: { type: "string", default: defaultSocket }, json: { type: "boolean", default: false } },
  });
  const answer = await call<TransactionStatus>(values.socket, { method: "POST", path: `/v1/${what}` });
  process.stdout.write(values.json ? `${JSON.stringify(answer, null, 2)}\n` : `${said[what](answer)}\n`);
  return 0;
}
