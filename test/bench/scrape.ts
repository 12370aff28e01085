/**
 * How long a scrape of 10,000 series holds up the event loop: 500 ports with all their counters, over HTTP on loopback.
 * A timer that wants to run every millisecond tells the longest wait. Prints JSON; run it with `node --import=tsx`.
 */
import { createMetrics } from "../../daemon/api/metrics/registry.ts";
import { DROP_REASONS } from "../../daemon/datapath/drop-reasons.ts";
import type { PortCounters } from "../../daemon/datapath/datapath.ts";
import type { PortStatus, Status } from "../../daemon/model/status.ts";

export interface ScrapeFigures {
  readonly series: number;
  readonly bytes: number;
  /** ms, medians over rounds */
  readonly longestBlock: number;
  readonly total: number;
}

export async function benchScrape(portCount = 500, rounds = 15): Promise<ScrapeFigures> {
  const ports = Array.from({ length: portCount }, (_, i) => makePort(i));
  let tick = 0n;
  const { registry } = createMetrics({
    version: "bench",
    onError: (source, error) => {
      throw new Error(`source ${source} failed`, { cause: error });
    },
    sources: {
      ports: async () => ports,
      counters: async () => ports.map((p) => makeCounters(p.ifindex, ++tick)),
      status: async () => status,
      fdbCounts: async () => [{ switchId: 0, vlan: 100, entries: 1000 }],
      mapUse: async () => [{ map: "fdb", entries: 1, maxEntries: 2 }],
    },
  });
  const blocks: number[] = [];
  const totals: number[] = [];
  let text = "";
  for (let round = 0; round < rounds; round++) {
    const watch = watchLoop();
    const start = performance.now();
    text = await registry.metrics();
    totals.push(performance.now() - start);
    blocks.push(await watch.stop());
  }
  const series = text.split("\n").filter((l) => l !== "" && !l.startsWith("#")).length;
  return { series, bytes: text.length, longestBlock: median(blocks), total: median(totals) };
}

/** The longest time between two turns of the loop. */
function watchLoop(): { stop(): Promise<number> } {
  let last = performance.now();
  let longest = 0;
  let running = true;
  const look = () => {
    const now = performance.now();
    longest = Math.max(longest, now - last);
    last = now;
    if (running) setImmediate(look);
  };
  setImmediate(look);
  return {
    stop: () =>
      new Promise((resolve) => {
        setImmediate(() => {
          look();
          running = false;
          resolve(longest);
        });
      }),
  };
}

function makePort(i: number): PortStatus {
  return {
    device: `pwveth${i}`,
    ifindex: 100 + i,
    role: "workload",
    clusterNetwork: "oob",
    network: "vlan100",
    attachment: `c${i}/eth0`,
    pvid: 100,
    allowed: "100",
    untagged: "100",
    mtu: 1500,
    up: true,
    carrier: true,
    attached: true,
  };
}

function makeCounters(ifindex: number, tick: bigint): PortCounters {
  const n = 1_000_000_007n * tick;
  return {
    ifindex,
    portId: ifindex,
    vlans: [{ vlan: 100, rxPackets: n, rxBytes: n, txPackets: n, txBytes: n }],
    drops: Object.fromEntries(DROP_REASONS.filter((r) => r !== "none").map((r) => [r, n])),
    floodPackets: n,
    fdbMoves: n,
    fdbLimitHits: n,
    fdbFull: n,
    learned: 1,
  };
}

const status: Status = {
  version: "bench",
  netns: "",
  http: "",
  startedAt: "2026-01-01T00:00:00.000Z",
  datapath: { kind: "ebpf", rung: "tcx+peer", reason: "" },
  ready: true,
  configGeneration: { desired: 1, applied: 1 },
  transaction: {
    ...{ phase: "idle", id: "", origin: "", startedAt: "", secondsLeft: null, last: null },
    ...{ generation: 1, savedAt: "" },
  },
  clusterNetworks: [],
  networks: [],
  hostNetworks: [],
  conditions: [],
};

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1] ?? 0;
}

if (import.meta.filename === process.argv[1]) console.log(JSON.stringify(await benchScrape()));
