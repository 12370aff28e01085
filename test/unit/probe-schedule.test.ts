import test from "ava";
import * as fc from "fast-check";
import { arrivedAt } from "../../daemon/probe/clock.ts";
import { Schedule } from "../../daemon/probe/schedule.ts";
import { seeded } from "./probe-support.ts";

const ns = (ms: number): bigint => BigInt(Math.round(ms * 1e6));
const ms = (time: bigint): number => Number(time) / 1e6;
const seeds = fc.nat();

function schedule(seed: number, now = 0n): Schedule {
  return new Schedule(now, 1000, { intervalMs: 15_000, jitter: 0.2, random: seeded(seed) });
}

test("the first run is within the spread", (t) => {
  fc.assert(
    fc.property(seeds, (seed) => {
      const first = ms(schedule(seed, ns(5000)).first);
      t.true(first >= 5000 && first < 6000);
    }),
  );
});

test("runs keep to their grid however many there were, each within the jitter, and the jitter is used", (t) => {
  fc.assert(
    fc.property(seeds, (seed) => {
      const plan = schedule(seed);
      let time = plan.first;
      const offsets: number[] = [];
      for (let slot = 1; slot <= 500; slot++) {
        time = plan.next(time + ns(0.7)); // a timer is always a little late
        offsets.push(ms(time - plan.first) - slot * 15_000);
      }
      t.true(offsets.every((offset) => Math.abs(offset) <= 3000));
      t.true(Math.max(...offsets) > 1500 && Math.min(...offsets) < -1500);
    }),
    { numRuns: 20 },
  );
});

test("after a long stall the missed slots are passed over and the grid is kept", (t) => {
  fc.assert(
    fc.property(seeds, fc.double({ min: 20_000, max: 1e7, noNaN: true }), (seed, stall) => {
      const plan = schedule(seed);
      const woken = plan.first + ns(stall);
      const next = plan.next(woken);
      t.true(next >= woken);
      t.true(ms(next - woken) <= 7500 + 15_000 + 3000);
      const after = plan.next(next);
      const offset = ms(after - plan.first) % 15_000;
      t.true(Math.min(offset, 15_000 - offset) <= 3000);
      t.true(after > next);
    }),
  );
});

test("the wait in this process is taken out of the time of arrival, but never more than that", (t) => {
  const epoch = 1_800_000_000_000;
  const stamp = BigInt(epoch) * 1_000_000n;
  // 5.9 ms later the wall clock shows 5 ms
  t.is(arrivedAt(stamp, ns(105.9), epoch + 5), ns(100.9));
  t.is(arrivedAt(stamp, ns(100.4), epoch), ns(100.4));
});

test("a stamp from the future or from long ago is ignored: the clock was set", (t) => {
  const epoch = 1_800_000_000_000;
  const stamp = BigInt(epoch) * 1_000_000n;
  t.is(arrivedAt(stamp, ns(100), epoch - 3_600_000), ns(100));
  t.is(arrivedAt(stamp, ns(100), epoch + 3_600_000), ns(100));
});
