/** Waits for something that will be so soon; a deadline far off turns "never" into a failure. */
import { setTimeout as sleep } from "node:timers/promises";

export async function until(condition: () => boolean | Promise<boolean>, deadlineMs = 10_000): Promise<void> {
  const end = Date.now() + deadlineMs;
  while (!(await condition())) {
    if (Date.now() > end) throw new Error(`not so after ${deadlineMs} ms: ${condition.toString()}`);
    await sleep(5);
  }
}
