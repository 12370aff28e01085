/** The gate, the check of sources and hairpins over more than one frame: what is learned, and what CPUs remember. */
import test from "ava";
import * as table from "../peers/bench-table.ts";
import { ACCESS_A, ACCESS_B, between, expectRun, TRUNK } from "../peers/bench-table.ts";
import { BROADCAST, frame, station } from "../peers/frames.ts";
import { access, type PortSpec, type SwitchBench } from "../peers/switch-bench.ts";

let bed: table.Table;
test.before(async () => {
  bed = await table.openTable();
});
test.after.always(() => bed?.lab.close());

const NEW = station(40);
const PASSES = { verdict: "redirect", rx: { "1/100": 1 }, tx: { "2/100": 1 } } as const;
const SPOOFED = { verdict: "drop", drops: { "1/spoofed": 1 } } as const;

function setA(bench: SwitchBench, change: Omit<PortSpec, "ifindex">): Promise<void> {
  return bench.port(ACCESS_A, { ifindex: bed.ifindex(ACCESS_A), ...access(100), ...change });
}

test("nothing is learned at a closed port, nor from a source that is not the port's", async (t) => {
  const bench = await bed.bench(t);
  const before = await bench.fdb();
  await setA(bench, { open: false });
  await bench.run(bed.ifindex(ACCESS_A), frame({ src: NEW, dst: BROADCAST }));
  await setA(bench, { sourceMac: station(ACCESS_A) });
  await bench.run(bed.ifindex(ACCESS_A), frame({ src: NEW, dst: BROADCAST }));
  await bench.run(bed.ifindex(ACCESS_A), frame({ src: station(ACCESS_B), dst: BROADCAST }));
  t.deepEqual(await bench.fdb(), before);
  t.is(await bench.learned(ACCESS_A), 0);
});

test("a flow that is remembered ends when its source may not send any more and the answers are swept", async (t) => {
  const bench = await bed.bench(t);
  const at = bed.ifindex(ACCESS_A);
  const flow = frame({ src: NEW, dst: station(ACCESS_B) });
  for (let n = 0; n < 3; n++) await expectRun(t, bench, at, flow, PASSES);
  await setA(bench, { sourceMac: station(ACCESS_A) });
  t.deepEqual(await bench.sweep({ answers: true }), { removed: 0, kept: 0 });
  t.is((await bench.fdbEntry(NEW, 100))?.portId, ACCESS_A, "no entry goes");
  for (let n = 0; n < 2; n++) await expectRun(t, bench, at, flow, SPOOFED);
  const own = between(ACCESS_A, ACCESS_B);
  for (let n = 0; n < 3; n++) await expectRun(t, bench, at, own, PASSES);
});

test("what a hairpin remembers ends with it", async (t) => {
  const bench = await bed.bench(t);
  const at = bed.ifindex(ACCESS_A);
  await setA(bench, { hairpin: true });
  await bench.setFdb(NEW, 100, { portId: ACCESS_A });
  const flow = frame({ src: station(ACCESS_A), dst: NEW });
  for (let n = 0; n < 3; n++)
    await expectRun(t, bench, at, flow, { verdict: "redirect", rx: { "1/100": 1 }, tx: { "1/100": 1 } });
  await setA(bench, {});
  await bench.sweep({ answers: true });
  await expectRun(t, bench, at, flow, { verdict: "drop", rx: { "1/100": 1 }, drops: { "1/hairpin": 1 } });
});

test("a sweep forgets an address at other ports than its own, in all VLANs of one switch", async (t) => {
  const bench = await bed.bench(t);
  const other = 1 << 12;
  for (const [domain, portId] of [
    [100, TRUNK],
    [200, TRUNK],
    [300, ACCESS_A],
    [other | 100, ACCESS_B],
  ] as const)
    await bench.setFdb(NEW, domain, { portId, isStatic: false });
  await bench.setFdb(station(41), 100, { portId: TRUNK, isStatic: false });
  t.deepEqual(await bench.sweep({ mac: NEW, switchId: 0, portId: ACCESS_A, elsewhere: true }), {
    removed: 2,
    kept: 11,
  });
  t.is(await bench.fdbEntry(NEW, 100), null);
  t.is(await bench.fdbEntry(NEW, 200), null);
  t.is((await bench.fdbEntry(NEW, 300))?.portId, ACCESS_A);
  t.is((await bench.fdbEntry(NEW, other | 100))?.portId, ACCESS_B);
  t.is((await bench.fdbEntry(station(41), 100))?.portId, TRUNK);
});

test("a sweep for more than any age, which counts the entries, removes none", async (t) => {
  const bench = await bed.bench(t);
  await bench.run(bed.ifindex(ACCESS_A), frame({ src: NEW, dst: station(ACCESS_B) }));
  t.deepEqual(await bench.sweep({ minAge: 0xffffffff }), { removed: 0, kept: 9 });
});
