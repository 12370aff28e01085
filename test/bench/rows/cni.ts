/** ADD and DEL of the CNI plugin against the stock bridge plugin: layer 2 only, the same driver, one call at a time. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { cniPluginFile } from "../../../daemon/package-files.ts";
import { BenchDaemon } from "../daemon.ts";
import type { Figure } from "../figure.ts";
import type { Row } from "../row.ts";
import { interleave } from "../rounds.ts";
import { median, percentile, ratios } from "../stats.ts";

const OURS = "portwright";
const PEER = "bridge plugin";
const STOCK = ["/usr/lib/cni/bridge", "/opt/cni/bin/bridge"];

interface Times {
  readonly add: number;
  readonly del: number;
}

export const cni: Row = {
  name: "cni",
  run: async ({ scope, programs, quick }) => {
    const stock = STOCK.find((path) => existsSync(path));
    if (stock === undefined)
      throw new Error(`there is none of ${STOCK.join(", ")}: install containernetworking-plugins`);
    const { host, directory } = await BenchDaemon.prepare(scope, "");
    const daemon = await BenchDaemon.spawn(scope, host, directory);
    const stockHost = await scope.host("stock-host");
    const pods = new Map([
      [OURS, await scope.host("pod")],
      [PEER, await scope.host("stock-pod")],
    ]);
    const calls: Record<string, Times[]> = { [OURS]: [], [PEER]: [] };
    let batch = 0;
    const measure = (name: string, netns: string, plugin: string, config: object) => ({
      name,
      measure: async () => {
        const count = quick ? 5 : 15;
        const pod = pods.get(name)?.path ?? "";
        const args = [netns, plugin, pod, `b${batch++}-`, `${count}`, JSON.stringify(config)];
        const times = JSON.parse(await scope.run(programs.spawn, args)) as Times[];
        calls[name]?.push(...times);
        return { add: median(times.map(({ add }) => add)), del: median(times.map(({ del }) => del)) };
      },
    });
    const common = { cniVersion: "1.0.0", name: "net", ipam: {} };
    const paths = { portwrightSocket: daemon.cniSocket, portwrightStateDir: join(directory, "state") };
    const ours = { ...common, ...paths, type: "portwright", bridge: "oob-br", vlan: 100 };
    const contenders = [
      measure(OURS, host.path, cniPluginFile(), ours),
      measure(PEER, stockHost.path, stock, { ...common, type: "bridge", bridge: "bench0" }),
    ];
    const counted = quick ? 5 : 10;
    const samples = await interleave(contenders, { warmups: 1, counted, signal: scope.signal });
    // The calls of the warm-up are the first ones.
    const all = (name: string, verb: keyof Times): number[] => {
      const times = calls[name] ?? [];
      return times.slice(times.length / (counted + 1)).map((time) => time[verb]);
    };
    const figure = (what: string, verb: keyof Times): Figure => ({
      what,
      ours: percentile(all(OURS, verb), 0.5),
      peer: percentile(all(PEER, verb), 0.5),
      unit: "ms",
      peerName: PEER,
      ratio: ratios(
        (samples[OURS] ?? []).map((sample) => sample[verb] ?? Number.NaN),
        (samples[PEER] ?? []).map((sample) => sample[verb] ?? Number.NaN),
      ),
      bound: { sense: "at-most", must: 0.7, aim: 0.35, unit: "x" },
      judged: "ratio",
    });
    const p99 = (verb: keyof Times): string =>
      `${verb.toUpperCase()} p99 ${percentile(all(OURS, verb), 0.99).toFixed(1)} ms against ` +
      `${percentile(all(PEER, verb), 0.99).toFixed(1)} ms`;
    return {
      figures: [figure("CNI ADD, p50", "add"), figure("CNI DEL, p50", "del")],
      notes: [
        `${p99("add")}; ${p99("del")}; layer 2 only; ours with a VLAN and a trunk uplink, the stock plugin with neither`,
      ],
      samples: { rounds: samples, calls },
    };
  },
};
