/** Frame in -> verdict, bytes and every counter out, by BPF_PROG_TEST_RUN; every drop reason is reached. */
import test from "ava";
import { DROP_REASONS } from "../../daemon/datapath/drop-reasons.ts";
import { ACCESS_A, ACCESS_B, between, expectRun, openTable, type Table, TRUNK } from "../peers/bench-table.ts";
import { frame, station } from "../peers/frames.ts";
import { features } from "./rows/features.ts";
import { flood } from "./rows/flood.ts";
import { forwarding } from "./rows/forwarding.ts";
import { refused } from "./rows/refused.ts";
import { sizes } from "./rows/sizes.ts";

let bed: Table;
test.before(async () => {
  bed = await openTable();
});
test.after.always(() => bed?.lab.close());

const rows = [...forwarding, ...refused, ...sizes, ...flood, ...features];
const reached = new Set<string>();

for (const row of rows) {
  for (const reason of Object.keys(row.expect.drops ?? {})) reached.add(reason.split("/")[1] ?? "");
  test(`table: ${row.title}`, async (t) => {
    const bench = await bed.bench(t);
    await row.prepare?.(bench, bed);
    await expectRun(t, bench, bed.ifindex(row.at), row.frame, row.expect, row.gsoSize);
  });
}

test("the table reaches every drop reason", (t) => {
  t.deepEqual(
    DROP_REASONS.filter((reason) => reason !== "none" && !reached.has(reason)),
    [],
  );
});

for (let last = 0; last < 16; last++) {
  const dst = `01:80:c2:00:00:0${last.toString(16)}`;
  test(`${dst} is the host's, and nothing is learned from it`, async (t) => {
    const bench = await bed.bench(t);
    const before = await bench.fdb();
    await expectRun(t, bench, bed.ifindex(ACCESS_A), frame({ dst, src: station(60) }), { verdict: "host" });
    t.deepEqual(await bench.fdb(), before);
  });
}

test("repeats of a test run see the frame as the one before left it, so rows run once", async (t) => {
  const bench = await bed.bench(t);
  const tagged = between(TRUNK, ACCESS_B, { tags: [{ vid: 100 }] });
  t.is((await bench.run(bed.ifindex(TRUNK), tagged, 0, 2)).verdict, "drop");
  t.deepEqual(await bench.tally(), { drops: { "3/untagged": 1 }, rx: { "3/100": 1 }, tx: { "2/100": 1 } });
});
