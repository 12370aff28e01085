// A thousand workloads come and go: the daemon has no more open files, threads, map entries or pins afterwards than before.
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import test from "ava";
import { HAS_TCX } from "../support/hooks.ts";
import { OOB, staticIpam, TestHost } from "../support/test-host.ts";
import { until } from "../support/until.ts";
import { recordFiles } from "../support/record-files.ts";

const CYCLES = 1000;
const AT_ONCE = 4;
/** Of links that go together one of these threads does the work, so that another may open its socket later. */
const REAPERS = 8;
const STAYING = 3;
const MAPS = ["if2port", "if2port_high", "ports", "fdb", "flood"];
/** Threads that delete links are started when others are busy, eight at most, and stay: all are there before the count begins. */
const WARM_UP = 100;
const WARM_UP_AT_ONCE = 16;

test("a thousand ADDs and DELs leave nothing behind", async (t) => {
  t.timeout(300_000);
  const h = await TestHost.start(t, { intent: OOB() });
  const pods = await Promise.all(Array.from({ length: WARM_UP_AT_ONCE }, (_, n) => h.lab.host(`pod${n}`)));
  const cycles = async (from: number, to: number, atOnce: number): Promise<void> => {
    let next = from;
    const worker = async (pod: (typeof pods)[number]): Promise<void> => {
      for (let n = next++; n < to; n = next++) {
        // Every other one with an address: those records are flushed, and IPAM is run.
        const address = n % 2 === 0 ? staticIpam(`10.9.${n >> 8}.${n & 0xff}/16`) : {};
        await h.del(await h.add(`c${n}`, { vlan: 100 + (n % 50), ...address }, { pod }));
      }
    };
    await Promise.all(pods.slice(0, atOnce).map(worker));
  };
  /** As the kernel has it: what the daemon says of them comes from its own memory. */
  const entries = async (map: string): Promise<number> => {
    const { bpf } = h.host.namespace;
    const pinned = await bpf.openMap(join(h.directory, "bpf/v2/maps", map));
    try {
      const { count, values } = await bpf.readAll(pinned);
      const size = values.length / count;
      const used = (_: unknown, n: number) => values.subarray(n * size, (n + 1) * size).some((byte) => byte !== 0);
      return Array.from({ length: count }).filter(used).length;
    } finally {
      pinned.close();
    }
  };
  const isAtRest = async (): Promise<boolean> => {
    const { http } = await h.status();
    return /^portwright_bpf_map_entries\{map="counters"\} 0$/m.test(await (await fetch(`${http}/metrics`)).text());
  };
  const pins = () => readdir(join(h.directory, "bpf/v2/links"));
  const holdings = async (): Promise<object> => {
    const links = await h.host.namespace.links();
    return {
      links: links.map(({ name }) => name).toSorted(),
      pins: await pins(),
      records: recordFiles(join(h.directory, "state")),
      deletes: await readdir(join(h.directory, "state/deletes")).catch(() => []),
      entries: Object.fromEntries(await Promise.all(MAPS.map(async (map) => [map, await entries(map)]))),
    };
  };
  const files = async (): Promise<number> => (await readdir(`/proc/${h.daemon.pid}/fd`)).length;
  const threads = async (): Promise<number> => (await readdir(`/proc/${h.daemon.pid}/task`)).length;
  const memory = async (): Promise<number> =>
    Number(/^VmRSS:\s+(\d+) kB$/m.exec(await readFile(`/proc/${h.daemon.pid}/status`, "utf8"))?.[1]) / 1000;

  // The uplink's VLANs leave when the host is at rest.
  const rest = () => until(isAtRest);
  await cycles(0, WARM_UP, WARM_UP_AT_ONCE);
  await rest();
  const [before, threadsBefore, memoryBefore] = [await holdings(), await threads(), await memory()];
  const filesBefore = await files();
  await cycles(WARM_UP, CYCLES, AT_ONCE);
  // Where the kernel has tcx, a port that stays has a link with a pin after a while.
  const staying = await Promise.all(pods.slice(0, STAYING).map((pod, n) => h.add(`s${n}`, { vlan: 100 }, { pod })));
  if (HAS_TCX) await until(async () => (await pins()).length === STAYING + 1, 20_000);
  for (const pod of staying) await h.del(pod);
  await rest();
  t.deepEqual(await holdings(), before);
  t.true((await files()) <= filesBefore + REAPERS, `${filesBefore} open files became ${await files()}`);
  // The kernel ends a namespace's thread in its own time.
  await until(async () => (await threads()) <= threadsBefore);
  t.log(`${Math.round(memoryBefore)} MB resident after ${WARM_UP}, ${Math.round(await memory())} MB after ${CYCLES}`);
});
