/**
 * ADD, CHECK and DEL of the CNI plugin against the stock bridge plugin, by the same driver: with each option that costs
 * something, many at a time, and on a host that is full of ports.
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import type { LabHost } from "../../../daemon/demo/lab.ts";
import { cniPluginFile } from "../../../daemon/package-files.ts";
import { attachCrowd, CROWD_INTENT } from "../crowd.ts";
import { BenchDaemon } from "../daemon.ts";
import type { Bound, Figure } from "../figure.ts";
import type { Row } from "../row.ts";
import { interleave, type Sample } from "../rounds.ts";
import type { Scope } from "../scope.ts";
import { median, percentile, ratios } from "../stats.ts";

const OURS = "portwright";
const EMPTY = "the same on an empty host";
const PEER = "bridge plugin";
const STOCK = ["/usr/lib/cni/bridge", "/opt/cni/bin/bridge"];
const STOCK_BRIDGE = "bench0";
const MUST: Bound = { sense: "at-most", must: 0.6, aim: 0.3, unit: "x" };
const GROWTH: Bound = { sense: "at-most", must: 1.3, aim: 1.1, unit: "x" };

const VERBS = ["add", "check", "del"] as const;
type Verb = (typeof VERBS)[number];
type Times = Readonly<Record<Verb, number>>;

interface Case {
  readonly name: string;
  readonly what: string;
  readonly options?: object;
  /** addresses by host-local; else layer 2 only */
  readonly addresses?: boolean;
  /** at the same time */
  readonly pods?: number;
  /** ports that are there already, on both hosts */
  readonly crowd?: number;
}

const CASES: readonly Case[] = [
  { name: "cni", what: "layer 2" },
  { name: "cni-ip", what: "host-local", addresses: true },
  { name: "cni-spoof", what: "macspoofchk", options: { macspoofchk: true } },
  {
    name: "cni-gateway",
    what: "isGateway and ipMasq",
    options: { isGateway: true, ipMasq: true },
    addresses: true,
  },
  { name: "cni-parallel", what: "16 at a time", pods: 16 },
  { name: "cni-crowd", what: "1,000 ports present", crowd: 1000 },
];

export const cniRows: readonly Row[] = CASES.map((one) => ({
  name: one.name,
  run: async ({ scope, programs, quick }) => {
    const stock = STOCK.find((path) => existsSync(path));
    if (stock === undefined)
      throw new Error(`there is none of ${STOCK.join(", ")}: install containernetworking-plugins`);
    const calls: Record<string, Times[]> = {};
    const pods = Array.from({ length: one.pods ?? 1 }, (_, n) => n);
    let batch = 0;
    const contender = async (name: string, host: LabHost, plugin: string, config: object) => {
      const hosts: LabHost[] = [];
      for (const n of pods) hosts.push(await scope.host(`${host.name}-pod${n}`));
      // The stock plugin's CHECK refuses each network without addresses.
      const check = one.addresses === true ? "1" : "0";
      const count = Math.ceil((quick ? 5 : 15) / Math.sqrt(pods.length));
      const measure = async (): Promise<Sample> => {
        const text = JSON.stringify({ ...config, ...one.options, ...ipam(scope, one, host) });
        const args = [host.path, plugin, `b${batch++}-`, `${count}`, check, text, ...hosts.map(({ path }) => path)];
        const times = JSON.parse(await scope.run(programs.spawn, args)) as Times[];
        calls[name] = [...(calls[name] ?? []), ...times];
        return Object.fromEntries(VERBS.map((verb) => [verb, median(times.map((time) => time[verb]))]));
      };
      return { name, measure };
    };
    const ours = async (name: string, host: string, crowd: number) => {
      const { host: on, directory } = await BenchDaemon.prepare(scope, crowd > 0 ? CROWD_INTENT : "", host);
      const daemon = await BenchDaemon.spawn(scope, on, directory);
      if (crowd > 0) await attachCrowd(scope, daemon, crowd);
      const paths = { portwrightSocket: daemon.cniSocket, portwrightStateDir: join(directory, "state") };
      const config = { cniVersion: "1.0.0", name: "net", type: "portwright", bridge: "oob-br", vlan: 100, ...paths };
      return await contender(name, on, cniPluginFile(), config);
    };
    const stockHost = await scope.host("stock");
    if (one.crowd !== undefined) await fillBridge(scope, stockHost, one.crowd);
    const config = { cniVersion: "1.0.0", name: "net", type: "bridge", bridge: STOCK_BRIDGE };
    const contenders = [
      await ours(OURS, "host", one.crowd ?? 0),
      await contender(PEER, stockHost, stock, config),
      ...(one.crowd === undefined ? [] : [await ours(EMPTY, "empty", 0)]),
    ];
    const counted = quick ? 5 : 10;
    const samples = await interleave(contenders, { warmups: 1, counted, signal: scope.signal });
    // The calls of the warm-up are the first ones.
    const all = (name: string, verb: Verb): number[] => {
      const times = calls[name] ?? [];
      return times.slice(times.length / (counted + 1)).map((time) => time[verb]);
    };
    const figure = (verb: Verb, peerName: string, bound: Bound): Figure => ({
      what: `CNI ${verb.toUpperCase()}, ${one.what}, p50`,
      ours: percentile(all(OURS, verb), 0.5),
      peer: percentile(all(peerName, verb), 0.5),
      unit: "ms",
      peerName,
      ratio: ratios(
        (samples[OURS] ?? []).map((sample) => sample[verb] ?? Number.NaN),
        (samples[peerName] ?? []).map((sample) => sample[verb] ?? Number.NaN),
      ),
      bound,
      judged: "ratio",
    });
    const verbs = VERBS.filter((verb) => verb !== "check" || one.addresses === true);
    const p99 = (verb: Verb): string =>
      `${verb.toUpperCase()} p99 ${percentile(all(OURS, verb), 0.99).toFixed(1)} ms against ` +
      `${percentile(all(PEER, verb), 0.99).toFixed(1)} ms`;
    return {
      figures: [
        ...verbs.map((verb) => figure(verb, PEER, MUST)),
        ...(one.crowd === undefined ? [] : verbs.map((verb) => figure(verb, EMPTY, GROWTH))),
      ],
      notes: [`${verbs.map(p99).join("; ")}; ours with a VLAN and a trunk uplink, the stock plugin with neither`],
      samples: { rounds: samples, calls },
    };
  },
}));

/** Each contender has a store of its own: the plugins would wait for one another's lock. */
function ipam(scope: Scope, { addresses }: Case, host: LabHost): object {
  if (addresses !== true) return { ipam: {} };
  const dataDir = join(scope.directory, `ipam-${host.name}`);
  return { ipam: { type: "host-local", ranges: [[{ subnet: "10.77.0.0/16" }]], dataDir } };
}

/** Ports as the stock plugin leaves them, without the time that it would take to make them. */
async function fillBridge(scope: Scope, host: LabHost, count: number): Promise<void> {
  const { namespace } = host;
  const bridge = await namespace.createLink({ kind: "bridge", name: STOCK_BRIDGE, up: true, data: {} });
  const crowd = await scope.host(`${host.name}-crowd`);
  for (let n = 0; n < count; n++) {
    scope.signal.throwIfAborted();
    const peer = { name: `eth${n}`, netns: crowd.handle };
    const { ifindex } = await namespace.createLink({ kind: "veth", name: `veth${n}`, up: true, peer });
    await namespace.changeLink({ ifindex }, { master: bridge.ifindex });
  }
}
