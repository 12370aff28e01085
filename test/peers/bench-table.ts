/** Six veths and the ports that most table tests share: what frames go in, and what is counted, is up to each test. */
import type { ExecutionContext } from "ava";
import type { Namespace } from "../../daemon/kernel/kernel.ts";
import { type FrameSpec, frame, station } from "./frames.ts";
import { access, Lab, type PortSpec, SwitchBench, type Tally, trunk } from "./switch-bench.ts";

export const ACCESS_A = 1; // VLAN 100
export const ACCESS_B = 2; // VLAN 100
export const TRUNK = 3; // VLANs 100, 200 tagged; no native VLAN
export const HYBRID = 4; // VLAN 100 tagged, 300 native
export const OTHER_VLAN = 5; // VLAN 200
export const OTHER_SWITCH = 6; // VLAN 100 of switch 1

export interface Table {
  readonly lab: Lab;
  readonly ns: Namespace;
  /** by port id */
  readonly ifindex: (id: number) => number;
  /** a newly loaded switch with the six ports, and each station known on its port: station n on port n */
  bench(t: ExecutionContext, maxEntries?: Record<string, number>): Promise<SwitchBench>;
}

export async function openTable(): Promise<Table> {
  const lab = await Lab.create();
  const ns = await lab.namespace("host");
  await ns.changeLink({ ifindex: 1 }, { up: true });
  const links = new Map<number, number>();
  for (let id = 1; id <= 6; id++) {
    const made = await ns.createLink({ name: `p${id}`, kind: "veth", up: true, peer: { name: `x${id}` } });
    await ns.changeLink({ ifindex: made.peerIfindex }, { up: true });
    links.set(id, made.ifindex);
  }
  const ifindex = (id: number): number => links.get(id) ?? 0;
  return {
    lab,
    ns,
    ifindex,
    bench: async (t, maxEntries) => {
      const bench = await SwitchBench.load(ns, maxEntries);
      t.teardown(() => bench.close());
      await bench.port(ACCESS_A, { ifindex: ifindex(ACCESS_A), ...access(100) });
      await bench.port(ACCESS_B, { ifindex: ifindex(ACCESS_B), ...access(100) });
      await bench.port(TRUNK, { ifindex: ifindex(TRUNK), ...trunk("100,200"), uplink: true });
      await bench.port(HYBRID, { ifindex: ifindex(HYBRID), ...trunk("100", 300) });
      await bench.port(OTHER_VLAN, { ifindex: ifindex(OTHER_VLAN), ...access(200) });
      await bench.port(OTHER_SWITCH, { ifindex: ifindex(OTHER_SWITCH), ...access(100), switchId: 1 });
      const homes = [
        [ACCESS_A, 100],
        [ACCESS_B, 100],
        [TRUNK, 100],
        [TRUNK, 200],
        [HYBRID, 100],
        [HYBRID, 300],
        [OTHER_VLAN, 200],
        [OTHER_SWITCH, (1 << 12) | 100],
      ] as const;
      for (const [id, domain] of homes) await bench.setFdb(station(id), domain, { portId: id });
      return bench;
    },
  };
}

/** From station `from` to station `to`. */
export function between(from: number, to: number, rest: Omit<FrameSpec, "src" | "dst"> = {}): Uint8Array {
  return frame({ src: station(from), dst: station(to), ...rest });
}

/** What a row changes about the common ports before its frame. */
export type Step = (bench: SwitchBench, bed: Table) => Promise<void>;

export interface Row {
  readonly title: string;
  readonly prepare?: Step;
  /** id of the port that the frame comes in at */
  readonly at: number;
  readonly frame: Uint8Array;
  readonly gsoSize?: number;
  readonly expect: Expected;
}

export function port(id: number, change: Omit<PortSpec, "ifindex">): Step {
  return (bench, bed) => bench.port(id, { ifindex: bed.ifindex(id), ...change });
}
export function all(...steps: readonly Step[]): Step {
  return async (bench, bed) => {
    for (const step of steps) await step(bench, bed);
  };
}

export interface Expected extends Partial<Tally> {
  readonly verdict: "redirect" | "drop" | "host";
  /** the frame's bytes after the program; default: as they were. A tag in the metadata is not among them. */
  readonly data?: Uint8Array;
}

/** Runs one frame and holds everything that was counted, and nothing else, against what was expected. */
export async function expectRun(
  t: ExecutionContext,
  bench: SwitchBench,
  ifindex: number,
  data: Uint8Array,
  { verdict, data: out = data, drops = {}, rx = {}, tx = {} }: Expected,
  gsoSize = 0,
): Promise<void> {
  const before = await bench.tally();
  const result = await bench.run(ifindex, data, gsoSize);
  const after = await bench.tally();
  t.is(result.verdict, verdict);
  t.deepEqual(
    { drops: minus(after.drops, before.drops), rx: minus(after.rx, before.rx), tx: minus(after.tx, before.tx) },
    { drops, rx, tx },
  );
  t.deepEqual(Buffer.from(result.data).toString("hex"), Buffer.from(out).toString("hex"));
}

function minus(after: Record<string, number>, before: Record<string, number>): Record<string, number> {
  const rest = Object.entries(after).map(([key, value]) => [key, value - (before[key] ?? 0)] as const);
  return Object.fromEntries(rest.filter(([, value]) => value !== 0));
}
