/** Learning, moves, limits, the sweep, events: what the switch makes of source addresses. By BPF_PROG_TEST_RUN. */
import test from "ava";
import { clockContext, decodeClock, TICK_SHIFT } from "../../daemon/datapath/ebpf/layout.ts";
import * as table from "../peers/bench-table.ts";
import {
  ACCESS_A,
  ACCESS_B,
  between,
  expectRun,
  HYBRID,
  OTHER_SWITCH,
  OTHER_VLAN,
  TRUNK,
} from "../peers/bench-table.ts";
import { BROADCAST, frame, station } from "../peers/frames.ts";
import { access, type SwitchBench, trunk } from "../peers/switch-bench.ts";
import { until } from "../support/until.ts";

let bed: table.Table;
test.before(async () => {
  bed = await table.openTable();
});
test.after.always(() => bed?.lab.close());

/** From an address at a port to one that is known. */
async function send(bench: SwitchBench, at: number, src: string, dst = station(TRUNK), vid?: number): Promise<string> {
  const tags = vid === undefined ? [] : [{ vid }];
  return (await bench.run(bed.ifindex(at), frame({ src, dst, tags }))).verdict;
}
async function tickNow(bench: SwitchBench): Promise<number> {
  const { jiffies } = decodeClock(await bench.syscall("clock", clockContext()));
  return Number((jiffies >> BigInt(TICK_SHIFT)) & 0xffffffffn);
}
const NEW = station(40);

test("a source address is learned in its VLAN, with the tick of now, and answered to its port", async (t) => {
  const bench = await bed.bench(t);
  await send(bench, ACCESS_A, NEW);
  const entry = await bench.fdbEntry(NEW, 100);
  const now = await tickNow(bench);
  t.like(entry, { portId: ACCESS_A, isStatic: false, sticky: false });
  t.true(entry !== null && (entry.tick === now || entry.tick === now - 1));
  t.is(await bench.fdbEntry(NEW, 200), null);
  t.is(await bench.learned(ACCESS_A), 1);
  await expectRun(t, bench, bed.ifindex(ACCESS_B), frame({ src: station(ACCESS_B), dst: NEW }), {
    verdict: "redirect",
    rx: { "2/100": 1 },
    tx: { "1/100": 1 },
  });
});

test("one address is learned in each VLAN and each switch for itself", async (t) => {
  const bench = await bed.bench(t);
  await send(bench, ACCESS_A, NEW);
  await send(bench, OTHER_VLAN, NEW);
  await send(bench, OTHER_SWITCH, NEW);
  t.is((await bench.fdbEntry(NEW, 100))?.portId, ACCESS_A);
  t.is((await bench.fdbEntry(NEW, 200))?.portId, OTHER_VLAN);
  t.is((await bench.fdbEntry(NEW, (1 << 12) | 100))?.portId, OTHER_SWITCH);
  t.is((await bench.stats(OTHER_SWITCH)).fdbMoves, 0n);
});

test("a dropped frame teaches nothing", async (t) => {
  const bench = await bed.bench(t);
  const before = await bench.fdb();
  await send(bench, TRUNK, NEW); // no PVID
  await send(bench, ACCESS_A, NEW, station(ACCESS_B), 200);
  await send(bench, TRUNK, NEW, station(ACCESS_B), 4095);
  await send(bench, ACCESS_A, BROADCAST);
  t.deepEqual(await bench.fdb(), before);
});

test("a port that does not learn leaves the FDB alone and still switches", async (t) => {
  const bench = await bed.bench(t);
  await bench.port(ACCESS_A, { ifindex: bed.ifindex(ACCESS_A), ...access(100), learn: false });
  const before = await bench.fdb();
  t.is(await send(bench, ACCESS_A, NEW), "redirect");
  t.is(await send(bench, ACCESS_A, station(ACCESS_B)), "redirect");
  t.deepEqual(await bench.fdb(), before);
});

test("being a destination does not keep an entry fresh; being a source does", async (t) => {
  const bench = await bed.bench(t);
  await bench.setFdb(NEW, 100, { portId: ACCESS_B, isStatic: false, tick: 7 });
  await send(bench, ACCESS_A, station(ACCESS_A), NEW);
  t.is((await bench.fdbEntry(NEW, 100))?.tick, 7);
  await send(bench, ACCESS_B, NEW);
  t.true(((await bench.fdbEntry(NEW, 100))?.tick ?? 0) > 7);
});

test("an address that shows on another port moves there, at once and as often as it does", async (t) => {
  const bench = await bed.bench(t);
  // All within one tick, so that answers remembered from before a move would show.
  for (const at of [ACCESS_A, ACCESS_B, ACCESS_A, ACCESS_B]) {
    t.is(await send(bench, at, NEW), "redirect");
    t.is(await send(bench, at, NEW), "redirect");
    t.is((await bench.fdbEntry(NEW, 100))?.portId, at);
    await expectRun(t, bench, bed.ifindex(TRUNK), frame({ src: station(TRUNK), dst: NEW, tags: [{ vid: 100 }] }), {
      verdict: "redirect",
      rx: { "3/100": 1 },
      tx: { [`${at}/100`]: 1 },
      data: frame({ src: station(TRUNK), dst: NEW }),
    });
  }
  t.is((await bench.stats(ACCESS_A)).fdbMoves, 1n);
  t.is((await bench.stats(ACCESS_B)).fdbMoves, 2n);
  t.deepEqual([await bench.learned(ACCESS_A), await bench.learned(ACCESS_B)], [0, 1]);
});

test("a static address moves and stays static, and no port's count changes", async (t) => {
  const bench = await bed.bench(t);
  await bench.setFdb(NEW, 100, { portId: ACCESS_A });
  await send(bench, ACCESS_B, NEW);
  t.like(await bench.fdbEntry(NEW, 100), { portId: ACCESS_B, isStatic: true });
  t.deepEqual([await bench.learned(ACCESS_A), await bench.learned(ACCESS_B)], [0, 0]);
});

test("a sticky address stays where it is", async (t) => {
  const bench = await bed.bench(t);
  await bench.setFdb(NEW, 100, { portId: ACCESS_A, isStatic: false, sticky: true });
  t.is(await send(bench, ACCESS_B, NEW), "drop");
  t.like(await bench.fdbEntry(NEW, 100), { portId: ACCESS_A, sticky: true });
});

test("the learn limit holds, counts its hits, and the frames pass", async (t) => {
  const bench = await bed.bench(t);
  await bench.port(ACCESS_A, { ifindex: bed.ifindex(ACCESS_A), ...access(100), fdbLimit: 2 });
  for (let n = 50; n < 55; n++) t.is(await send(bench, ACCESS_A, station(n)), "redirect");
  t.is(await bench.learned(ACCESS_A), 2);
  t.not(await bench.fdbEntry(station(51), 100), null);
  t.is(await bench.fdbEntry(station(52), 100), null);
  t.is((await bench.stats(ACCESS_A)).fdbLimitHits, 3n);
});

test("a port at its limit cannot pull other ports' addresses over", async (t) => {
  const bench = await bed.bench(t);
  await bench.port(ACCESS_A, { ifindex: bed.ifindex(ACCESS_A), ...access(100), fdbLimit: 1 });
  await send(bench, ACCESS_A, station(50));
  await send(bench, ACCESS_B, station(51));
  await send(bench, ACCESS_A, station(51));
  t.is((await bench.fdbEntry(station(51), 100))?.portId, ACCESS_B);
  t.is((await bench.stats(ACCESS_A)).fdbLimitHits, 1n);
  t.deepEqual([await bench.learned(ACCESS_A), await bench.learned(ACCESS_B)], [1, 1]);
});

test("a full table counts, floods for what it does not hold, and keeps its static entries", async (t) => {
  const bench = await bed.bench(t, { fdb: 12 }); // the bench's own are 8
  let sent = 50;
  while ((await bench.stats(ACCESS_A)).fdbFull === 0n && sent < 500) {
    t.is(await send(bench, ACCESS_A, station(sent++), station(ACCESS_B)), "redirect");
  }
  const unlearned = station(sent - 1);
  t.is((await bench.stats(ACCESS_A)).fdbFull, 1n);
  t.is(await bench.fdbEntry(unlearned, 100), null);
  t.is((await bench.fdbEntry(station(ACCESS_B), 100))?.portId, ACCESS_B);
  t.is(await bench.learned(ACCESS_A), sent - 51);
  await expectRun(t, bench, bed.ifindex(ACCESS_B), frame({ src: station(ACCESS_B), dst: unlearned }), {
    verdict: "redirect",
    rx: { "2/100": 1 },
    tx: { "1/100": 1, "3/100": 1, "4/100": 1 },
  });
});

test("a flow that goes on follows a change of its port in the next frame", async (t) => {
  const bench = await bed.bench(t);
  const flow = between(ACCESS_A, ACCESS_B);
  const at = bed.ifindex(ACCESS_A);
  const passes = { verdict: "redirect", rx: { "1/100": 1 }, tx: { "2/100": 1 } } as const;
  for (let n = 0; n < 3; n++) await expectRun(t, bench, at, flow, passes);
  await bench.port(ACCESS_B, { ifindex: bed.ifindex(ACCESS_B), ...access(100), open: false });
  await expectRun(t, bench, at, flow, { verdict: "drop", rx: { "1/100": 1 }, drops: { "2/port_down": 1 } });
  await bench.port(ACCESS_B, { ifindex: bed.ifindex(ACCESS_B), ...access(200) });
  await expectRun(t, bench, at, flow, { verdict: "drop", rx: { "1/100": 1 }, drops: { "2/egress_vlan": 1 } });
  await bench.port(ACCESS_B, { ifindex: bed.ifindex(ACCESS_B), ...access(100), mtu: 1500, isolated: true });
  await expectRun(t, bench, at, flow, passes);
  await bench.port(ACCESS_A, { ifindex: at, ...trunk("100", 300) });
  await expectRun(t, bench, at, between(ACCESS_A, ACCESS_B, { tags: [{ vid: 100 }] }), { ...passes, data: flow });
});

test("flows that are remembered in one place do not answer for one another", async (t) => {
  const bench = await bed.bench(t);
  const many = Array.from({ length: 400 }, (_, n) => station(1000 + n)); // of 1024 places, so dozens are shared
  // Each is learned though the destination is the same (what a second frame found is remembered) ...
  for (const src of many) {
    await send(bench, ACCESS_A, src, station(ACCESS_B));
    await send(bench, ACCESS_A, src, station(ACCESS_B));
  }
  t.is(await bench.learned(ACCESS_A), many.length);
  // ... and each is found where it is though the source is the same.
  for (const [n, mac] of many.entries()) await bench.setFdb(mac, 100, { portId: n % 2 === 0 ? TRUNK : HYBRID });
  const before = (await bench.tally()).tx;
  for (const dst of many) await send(bench, ACCESS_B, station(ACCESS_B), dst);
  const after = (await bench.tally()).tx;
  t.is((after["3/100"] ?? 0) - (before["3/100"] ?? 0), many.length / 2);
  t.is((after["4/100"] ?? 0) - (before["4/100"] ?? 0), many.length / 2);
});

test("the sweep removes what is old, and the count follows", async (t) => {
  const bench = await bed.bench(t);
  await send(bench, ACCESS_A, station(50));
  await send(bench, ACCESS_A, station(51));
  const tick = (await bench.fdbEntry(station(50), 100))?.tick ?? 0;
  await bench.setFdb(station(51), 100, { portId: ACCESS_A, isStatic: false, tick: tick - 100 });
  t.deepEqual(await bench.sweep({ minAge: 50 }), { removed: 1, kept: 9 });
  t.is(await bench.fdbEntry(station(51), 100), null);
  t.is(await bench.learned(ACCESS_A), 1);
});

test("the sweep keeps what was seen after it began", async (t) => {
  const bench = await bed.bench(t);
  const tick = await tickNow(bench);
  await bench.setFdb(NEW, 100, { portId: ACCESS_A, isStatic: false, tick: tick + 5 });
  t.deepEqual(await bench.sweep({ minAge: 1 }), { removed: 0, kept: 9 });
});

test("the sweep can forget a port or a domain, with static entries or without", async (t) => {
  const bench = await bed.bench(t);
  await send(bench, ACCESS_A, station(50));
  await send(bench, HYBRID, station(51), station(TRUNK), 100);
  await send(bench, HYBRID, station(52), BROADCAST);
  t.deepEqual(await bench.sweep({ portId: HYBRID }), { removed: 2, kept: 9 });
  t.is(await bench.learned(HYBRID), 0);
  t.deepEqual(await bench.sweep({ portId: HYBRID, statics: true }), { removed: 2, kept: 7 });
  t.deepEqual(await bench.sweep({ domain: 200, statics: true }), { removed: 2, kept: 5 });
  t.deepEqual(await bench.sweep({ statics: true }), { removed: 5, kept: 0 });
  t.is(await bench.learned(ACCESS_A), 0);
});

test("an address forgotten by a sweep is learned again within the same tick", async (t) => {
  const bench = await bed.bench(t);
  for (let n = 0; n < 3; n++) await send(bench, ACCESS_A, NEW, station(ACCESS_B));
  t.is((await bench.sweep({ portId: ACCESS_A })).removed, 1);
  await send(bench, ACCESS_A, NEW, station(ACCESS_B));
  t.is((await bench.fdbEntry(NEW, 100))?.portId, ACCESS_A);
  t.is(await bench.learned(ACCESS_A), 1);
});

test("events tell of learning, moves, limits and sticky addresses", async (t) => {
  const bench = await bed.bench(t);
  await bench.configure({ eventRate: 100, learnEvents: true });
  await bench.watchEvents();
  await bench.port(ACCESS_B, { ifindex: bed.ifindex(ACCESS_B), ...access(100), fdbLimit: 1 });
  await bench.setFdb(station(60), 100, { portId: ACCESS_A, sticky: true });
  await send(bench, ACCESS_A, NEW);
  await send(bench, ACCESS_B, NEW);
  await send(bench, ACCESS_B, station(41));
  await send(bench, ACCESS_B, station(60));
  await until(() => bench.events.length >= 4);
  t.deepEqual(
    bench.events.map(({ type, portId, fromPortId, mac, domain }) => [type, portId, fromPortId, mac, domain]),
    [
      ["fdb-learn", ACCESS_A, 0, NEW, 100],
      ["fdb-move", ACCESS_B, ACCESS_A, NEW, 100],
      ["fdb-limit", ACCESS_B, 0, station(41), 100],
      ["sticky-move", ACCESS_B, ACCESS_A, station(60), 100],
    ],
  );
  t.true(bench.events.every(({ timeNs }, i) => i === 0 || timeNs >= (bench.events[i - 1]?.timeNs ?? 0n)));
});

test("learning is no event unless asked for, and rate 0 means none", async (t) => {
  const bench = await bed.bench(t);
  await bench.configure({ eventRate: 100, learnEvents: false });
  await bench.watchEvents();
  await send(bench, ACCESS_A, NEW);
  await bench.configure({ eventRate: 0, learnEvents: true });
  await send(bench, ACCESS_A, station(41));
  await send(bench, ACCESS_B, station(41));
  await bench.configure({ eventRate: 100, learnEvents: false });
  await send(bench, ACCESS_B, NEW);
  await until(() => bench.events.length >= 1);
  t.deepEqual(
    bench.events.map(({ type, mac }) => [type, mac]),
    [["fdb-move", NEW]],
  );
  t.is((await bench.stats(ACCESS_B)).eventLost, 0n);
});

test("events above the rate are counted as lost", async (t) => {
  const bench = await bed.bench(t);
  await bench.configure({ eventRate: 3, learnEvents: true });
  await bench.watchEvents();
  const sent = 40;
  for (let n = 0; n < sent; n++) await send(bench, ACCESS_A, station(100 + n));
  const lost = Number((await bench.stats(ACCESS_A)).eventLost);
  t.true(lost > 0);
  await until(() => bench.events.length + lost >= sent);
  t.is(bench.events.length + lost, sent);
});

test("the clock tells jiffies and time that go on", async (t) => {
  const bench = await bed.bench(t);
  const first = decodeClock(await bench.syscall("clock", clockContext()));
  await until(async () => decodeClock(await bench.syscall("clock", clockContext())).jiffies > first.jiffies);
  t.true(decodeClock(await bench.syscall("clock", clockContext())).timeNs > first.timeNs);
});
