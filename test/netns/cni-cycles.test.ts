// A thousand workloads come and go: the daemon has no more open files, threads, map entries or pins afterwards than before.
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import test from "ava";
import { OOB, staticIpam, TestHost } from "../support/test-host.ts";
import { until } from "../support/until.ts";
import { recordFiles } from "../support/record-files.ts";

const CYCLES = 1000;
const AT_ONCE = 4;
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
  const entries = async (): Promise<readonly string[]> => {
    const { http } = await h.status();
    const text = await (await fetch(`${http}/metrics`)).text();
    const series = text.matchAll(/^portwright_bpf_map_entries\{map="(\w+)"\} (\d+)/gm);
    return [...series].map(([, map, count]) => `${map} ${count}`);
  };
  const holdings = async (): Promise<object> => {
    const of = (what: string) => readdir(`/proc/${h.daemon.pid}/${what}`);
    const links = await h.host.namespace.links();
    return {
      files: (await of("fd")).length,
      links: links.map(({ name }) => name).toSorted(),
      pins: await readdir(join(h.directory, "bpf/v2/links")),
      records: recordFiles(join(h.directory, "state")),
      deletes: await readdir(join(h.directory, "state/deletes")).catch(() => []),
      entries: await entries(),
    };
  };
  const threads = async (): Promise<number> => (await readdir(`/proc/${h.daemon.pid}/task`)).length;
  const memory = async (): Promise<number> =>
    Number(/^VmRSS:\s+(\d+) kB$/m.exec(await readFile(`/proc/${h.daemon.pid}/status`, "utf8"))?.[1]) / 1000;

  // The uplink's VLANs leave when the host is at rest.
  const rest = () => until(async () => (await entries()).includes("counters 0"));
  await cycles(0, WARM_UP, WARM_UP_AT_ONCE);
  await rest();
  const [before, threadsBefore, memoryBefore] = [await holdings(), await threads(), await memory()];
  await cycles(WARM_UP, CYCLES, AT_ONCE);
  await rest();
  t.deepEqual(await holdings(), before);
  // The kernel ends a namespace's thread in its own time.
  await until(async () => (await threads()) <= threadsBefore);
  t.log(`${Math.round(memoryBefore)} MB resident after ${WARM_UP}, ${Math.round(await memory())} MB after ${CYCLES}`);
});
