/** `portwright plan` */
import { parseArgs } from "node:util";
import { call } from "../client/call.ts";
import { planLines } from "../client/views.ts";
import type { PlanView } from "../model/transaction.ts";
import { intentTexts } from "./intent-texts.ts";

const NOTHING_TO_DO = 0;
const CHANGES = 2;

export async function planCommand(args: readonly string[], defaultSocket: string): Promise<number> {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: { socket: { type: "string", default: defaultSocket }, json: { type: "boolean", default: false } },
  });
  const texts = await intentTexts(positionals);
  const plan = await call<PlanView>(
    values.socket,
    texts === undefined ? { method: "GET", path: "/v1/plan" } : { method: "POST", path: "/v1/plan", body: { texts } },
  );
  process.stdout.write(values.json ? `${JSON.stringify(plan, null, 2)}\n` : `${planLines(plan).join("\n")}\n`);
  return plan.steps.length === 0 ? NOTHING_TO_DO : CHANGES;
}
