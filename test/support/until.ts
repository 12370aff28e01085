/** Waits for what must come. The bound is for what never comes: a test that the runner has to kill cleans nothing up. */
import { setTimeout as sleep } from "node:timers/promises";

/** Where the CPU is emulated, all takes longer: what the deadline is multiplied by. */
export const PATIENCE = Number(process.env["PORTWRIGHT_TEST_PATIENCE"] ?? 1);

export async function until(condition: () => boolean | Promise<boolean>, deadlineMs = 30_000): Promise<void> {
  const end = Date.now() + deadlineMs * PATIENCE;
  while (!(await condition())) {
    if (Date.now() > end) throw new Error(`not so after ${deadlineMs * PATIENCE} ms: ${condition.toString()}`);
    await sleep(5);
  }
}
