/** `portwright apply` */
import { parseArgs } from "node:util";
import { call } from "../client/call.ts";
import { stepLines, transactionLines } from "../client/views.ts";
import type { ApplyAnswer } from "../model/transaction.ts";
import { intentTexts } from "./intent-texts.ts";
import { seconds } from "./seconds.ts";

export async function applyCommand(args: readonly string[], defaultSocket: string): Promise<number> {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      confirm: { type: "string" },
      verify: { type: "string" },
      socket: { type: "string", default: defaultSocket },
      json: { type: "boolean", default: false },
    },
  });
  const texts = await intentTexts(positionals);
  const body = {
    ...(texts && { texts }),
    ...(values.confirm !== undefined && { confirm: seconds(values.confirm, "--confirm") }),
    ...(values.verify !== undefined && { verify: seconds(values.verify, "--verify") }),
  };
  const answer = await call<ApplyAnswer>(values.socket, { method: "POST", path: "/v1/apply", body });
  process.stdout.write(
    values.json ? `${JSON.stringify(answer, null, 2)}\n` : `${told(answer, values.confirm === undefined).join("\n")}\n`,
  );
  return 0;
}

function told(answer: ApplyAnswer, unasked: boolean): readonly string[] {
  const head =
    answer.last?.result === "unchanged" || answer.steps.length === 0 ? ["Nothing had to be done."] : ["Done:"];
  const why = unasked ? ["It touches a network that this host may be reached by, so it has to be confirmed."] : [];
  const ending =
    answer.phase === "waiting"
      ? [...why, ...transactionLines(answer).slice(1)]
      : [`Kept as generation ${answer.generation}.`];
  return [...head, ...stepLines(answer.steps), ...ending];
}
