/** Waits for what must come. The bound is for what never comes: a test that the runner has to kill cleans nothing up. */
import { setTimeout as sleep } from "node:timers/promises";

export async function until(condition: () => boolean | Promise<boolean>, deadlineMs = 30_000): Promise<void> {
  const end = Date.now() + deadlineMs;
  while (!(await condition())) {
    if (Date.now() > end) throw new Error(`not so after ${deadlineMs} ms: ${condition.toString()}`);
    await sleep(5);
  }
}
