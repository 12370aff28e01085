import test from "ava";
import { TickClock } from "../../daemon/datapath/ebpf/ageing.ts";

const SHIFT = 8;
const at = (seconds: number, hz: number) => ({
  jiffies: BigInt(Math.round(5_000_000 + seconds * hz)),
  timeNs: BigInt(Math.round(7e9 + seconds * 1e9)),
});

for (const hz of [100, 250, 300, 1000]) {
  test(`HZ ${hz} is measured, and ages follow from it`, (t) => {
    const clock = new TickClock(SHIFT, at(0, hz));
    const tick = Number(at(0, hz).jiffies >> BigInt(SHIFT));
    clock.observe(at(300, hz));
    t.is(clock.hz, hz);
    t.true(Math.abs(clock.age(tick) - 300) <= 256 / hz);
    t.true(clock.ticks(300) >= (300 * hz) / 256);
    t.true(clock.ticks(300) < (300 * hz) / 256 + 1);
  });
}

test("an entry written after the last look is of age 0, also where the 32-bit tick wraps", (t) => {
  const clock = new TickClock(SHIFT, at(0, 250));
  clock.observe(at(10, 250));
  const now = Number((at(10, 250).jiffies >> BigInt(SHIFT)) & 0xffffffffn);
  t.is(clock.age(now + 1), 0);
  const wrapped = new TickClock(SHIFT, { jiffies: 0x1_0000_0000n << BigInt(SHIFT), timeNs: 0n });
  t.is(wrapped.age(0xffffffff), 256 / 250);
});
