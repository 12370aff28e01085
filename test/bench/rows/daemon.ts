/** The daemon itself, with no port and with 500: its start, its memory, its rest, and what a scrape does to it. */
import { spawn } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";
import { attachCrowd, CROWD, CROWD_INTENT } from "../crowd.ts";
import { bareStart, BenchDaemon, call, cpuTime, mainThreadTime, residentMB } from "../daemon.ts";
import type { Bound, Figure } from "../figure.ts";
import type { Row } from "../row.ts";
import { column, type Contender, interleave, type Sample } from "../rounds.ts";
import { benchScrape } from "../scrape.ts";
import { median, ratios, spread } from "../stats.ts";
import type { Scope } from "../scope.ts";

const NODE = "bare node";

export const start: Row = {
  name: "start",
  run: async ({ scope, quick, log }) => {
    const { host, directory } = await BenchDaemon.prepare(scope, CROWD_INTENT);
    const restart = async (): Promise<Sample> => {
      const daemon = await BenchDaemon.spawn(scope, host, directory);
      await daemon.stop();
      return { ...daemon.start };
    };
    const options = { warmups: 1, counted: quick ? 5 : 9, signal: scope.signal };
    const contenders = (name: string): Contender[] => [
      { name, measure: restart },
      { name: NODE, measure: async () => ({ ...(await bareStart()) }) },
    ];
    const empty = await interleave(contenders("daemon"), options);
    log(`  attaching ${CROWD} ports …`);
    const daemon = await BenchDaemon.spawn(scope, host, directory);
    await attachCrowd(scope, daemon);
    await daemon.stop();
    const full = await interleave(contenders("daemon"), options);
    const figure = (what: string, samples: Readonly<Record<string, readonly Sample[]>>, must: number): Figure => {
      const [ours, peer] = [column(samples, "daemon", "undisturbed"), column(samples, NODE, "undisturbed")];
      const bound: Bound = { sense: "at-most", must, aim: must / 2, unit: "s" };
      return {
        ...{ what, ours: median(ours), peer: median(peer), unit: "s", peerName: `${NODE}, -e 0` },
        ...{ ratio: ratios(ours, peer), bound, judged: "ours" },
      };
    };
    const wall = (samples: Readonly<Record<string, readonly Sample[]>>): string =>
      median(column(samples, "daemon", "wall")).toFixed(2);
    return {
      figures: [figure("start to ready, 0 ports", empty, 1), figure(`start to ready, ${CROWD} ports`, full, 2)],
      notes: [
        "without the time that the main thread waited for a core which other processes had (schedstat); with it: " +
          `${wall(empty)} s and ${wall(full)} s`,
        `${CROWD} ports are in 5 namespaces, 100 interfaces each`,
      ],
      samples: { empty, full },
    };
  },
};

export const rest: Row = {
  name: "rest",
  run: async ({ scope, quick, log }) => {
    const { daemon, bare } = await crowded(scope, log);
    await sleep(quick ? 2000 : 10_000, undefined, { signal: scope.signal });
    const samples: { rss: number[]; bareRss: number[]; cpu: number[]; bareCpu: number[] } = {
      ...{ rss: [], bareRss: [], cpu: [], bareCpu: [] },
    };
    // 30 s in all: five looks at the same process.
    const span = quick ? 1 : 6;
    for (let round = 0; round < 5; round++) {
      const before = [cpuTime(daemon.pid), cpuTime(bare)] as const;
      const begun = performance.now();
      await sleep(span * 1000, undefined, { signal: scope.signal });
      const seconds = (performance.now() - begun) / 1000;
      samples.cpu.push((100 * (cpuTime(daemon.pid) - before[0])) / seconds);
      samples.bareCpu.push((100 * (cpuTime(bare) - before[1])) / seconds);
      samples.rss.push(residentMB(daemon.pid));
      samples.bareRss.push(residentMB(bare));
    }
    const mean = samples.cpu.reduce((a, b) => a + b, 0) / samples.cpu.length;
    return {
      figures: [
        {
          ...{ what: `resident memory, ${CROWD} ports`, unit: "MB", peerName: NODE, judged: "ours" },
          ...{ ours: median(samples.rss), peer: median(samples.bareRss), ratio: ratios(samples.rss, samples.bareRss) },
          bound: { sense: "at-most", must: 150, aim: 100, unit: "MB" },
        },
        {
          ...{ what: `idle CPU, ${CROWD} ports`, unit: "%", peerName: NODE, judged: "ours" },
          ...{ ours: mean, peer: median(samples.bareCpu), ratio: ratios(samples.cpu, samples.bareCpu) },
          bound: { sense: "at-most", must: 1, aim: 0.3, unit: "%" },
        },
      ],
      notes: [`the mean over ${5 * span} s of all threads' CPU time; one daemon that has just attached ${CROWD} ports`],
      samples,
    };
  },
};

export const scrape: Row = {
  name: "scrape",
  run: async ({ scope, quick, log }) => {
    const { daemon } = await crowded(scope, log);
    const { http } = JSON.parse(await call(daemon.readSocket, "GET", "/v1/status")) as { http: string };
    const blocks: number[] = [];
    const idle: number[] = [];
    const totals: number[] = [];
    let series = 0;
    for (let round = -2; round < (quick ? 5 : 11); round++) {
      scope.signal.throwIfAborted();
      const quiet = await watchedDelay(http, daemon.pid, async () => undefined);
      let total = 0;
      const delay = await watchedDelay(http, daemon.pid, async () => {
        const begun = performance.now();
        const text = await (await fetch(`${http}/metrics`)).text();
        total = performance.now() - begun;
        series = text.split("\n").filter((line) => line !== "" && !line.startsWith("#")).length;
      });
      if (round < 0) continue;
      blocks.push(delay);
      idle.push(quiet);
      totals.push(total);
    }
    const inProcess = await benchScrape();
    return {
      figures: [
        {
          ...{ what: `loop blocked by a scrape, ${series} series`, unit: "ms", peerName: "no scrape", judged: "ours" },
          ...{ ours: median(blocks), peer: median(idle), ratio: ratios(blocks, idle) },
          bound: { sense: "at-most", must: 60, aim: 15, unit: "ms" },
        },
      ],
      notes: [
        "the event loop's longest delay (/debug/heap) while a real daemon is scraped over HTTP, at most the CPU " +
          `time that the scrape took of its main thread; the answer takes ${median(totals).toFixed(0)} ms; the registry alone, in this ` +
          `process, ${inProcess.series} series: ${inProcess.longestBlock.toFixed(1)} ms`,
      ],
      samples: { blocks, idle, totals, inProcess, spread: spread(blocks) },
    };
  },
};

/** what /debug/heap can tell apart */
const LOOP_RESOLUTION_MS = 1;

/**
 * ms, longest; the daemon samples its loop for 250 ms while `work` goes on. No block is longer than the CPU time that the
 * main thread used meanwhile, but for the time that it waited for a core which other processes had: that is not the
 * daemon's.
 */
async function watchedDelay(http: string, pid: number, work: () => Promise<void>): Promise<number> {
  const sampled = fetch(`${http}/debug/heap`).then((response) => response.json()) as Promise<{
    eventLoop: { delayMs: { max: number } };
  }>;
  await sleep(60); // it has begun by then
  const before = mainThreadTime(pid);
  await work();
  const used = (mainThreadTime(pid) - before) * 1000;
  return Math.min((await sampled).eventLoop.delayMs.max, Math.max(used, LOOP_RESOLUTION_MS));
}

async function crowded(scope: Scope, log: (line: string) => void): Promise<{ daemon: BenchDaemon; bare: number }> {
  const { host, directory } = await BenchDaemon.prepare(scope, CROWD_INTENT);
  const daemon = await BenchDaemon.spawn(scope, host, directory);
  log(`  attaching ${CROWD} ports …`);
  await attachCrowd(scope, daemon);
  const child = spawn(process.execPath, ["-e", "setInterval(() => {}, 1e9)"], { stdio: "ignore" });
  scope.adopt(child);
  return { daemon, bare: child.pid ?? 0 };
}
