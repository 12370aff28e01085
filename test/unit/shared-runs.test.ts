// Work that many ask for at once: done often enough for each of them, and no more often.
import test from "ava";
import { SharedRuns } from "../../daemon/async/shared-runs.ts";

test("who asks while it runs gets a run that began afterwards, shared with others who ask", async (t) => {
  const log: string[] = [];
  let release: () => void = () => {};
  let count = 0;
  const runs = new SharedRuns(async () => {
    const number = ++count;
    log.push(`begin ${number}`);
    await new Promise<void>((resolve) => {
      release = resolve;
    });
    log.push(`end ${number}`);
  });
  const first = runs.run();
  await Promise.resolve();
  const later = [runs.run(), runs.run(), runs.run()];
  await Promise.resolve();
  t.deepEqual(log, ["begin 1"]);
  release();
  await first;
  await Promise.resolve();
  t.deepEqual(log, ["begin 1", "end 1", "begin 2"]);
  release();
  await Promise.all(later);
  t.is(count, 2);
});

test("a run that fails fails for those who shared it, and the next goes on", async (t) => {
  let count = 0;
  const runs = new SharedRuns(async () => {
    if (++count < 3) throw new Error(`run ${count}`);
  });
  const first = runs.run();
  const same = runs.run();
  await Promise.all([first, same].map((run) => t.throwsAsync(run, { message: "run 1" })));
  await t.throwsAsync(runs.run(), { message: "run 2" });
  await t.notThrowsAsync(runs.run());
});
