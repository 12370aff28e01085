/** Packets a second: known unicast from pod to pod, from a pod to the tagged uplink, and flooding. */
import {
  announce,
  type Bed,
  blind,
  build,
  canFilter,
  type Connect,
  filteringBridge,
  linuxBridge,
  type Pod,
  portwright,
  VLAN,
} from "../beds.ts";
import type { Bound, Figure } from "../figure.ts";
import { hasOpenVSwitch, openVSwitch } from "../open-vswitch.ts";
import type { Row, RowContext } from "../row.ts";
import { column, type Contender, interleave, type Sample } from "../rounds.ts";
import { median, ratios } from "../stats.ts";
import { type Arrived, burst, openInlet, payloadFrame, Sink } from "../traffic.ts";

const BROADCAST = "ff:ff:ff:ff:ff:ff";
const COPIES = 8;
const HOW =
  "frames of 60 octets that arrive for a second of CPU time of the core that sends; the kernel makes them " +
  "(BPF_PROG_TEST_RUN with live frames), the same sink counts and drops them";

interface Path {
  readonly name: string;
  readonly connect: Connect;
  /** the NIC is a trunk */
  readonly tags: boolean;
}
type Samples = Readonly<Record<string, readonly Sample[]>>;

const ours: Path = { name: "portwright", connect: portwright, tags: true };
const bridge: Path = { name: "Linux bridge", connect: linuxBridge, tags: false };

/** Those that this kernel and this machine have besides the plain bridge: switches that know VLANs. */
async function vlanSwitches({ scope }: RowContext): Promise<readonly Peer[]> {
  const filtering: Path = { name: "filtering bridge", connect: filteringBridge, tags: true };
  const ovs: Path = { name: "Open vSwitch", connect: openVSwitch, tags: true };
  const unicastAim = 1.9;
  return [
    ...((await canFilter(scope)) ? [{ path: filtering, unicast: [1.5, unicastAim], push: [1, 1.2] } as const] : []),
    ...(hasOpenVSwitch() ? [{ path: ovs, unicast: [1.4, unicastAim], push: [1, 1.2] } as const] : []),
  ];
}

/** An emulator makes a program's instructions dearer than the kernel's own work between them: "blind" says nothing there. */
function isEmulated(): boolean {
  return process.env["PORTWRIGHT_BENCH_EMULATED"] === "1";
}

interface Peer {
  readonly path: Path;
  /** must and aim */
  readonly unicast: readonly [number, number];
  readonly push: readonly [number, number];
}

function atLeast([must, aim]: readonly [number, number]): Bound {
  return { sense: "at-least", must, aim, unit: "x" };
}

/** What is sent, and what must become of it. */
interface Shot {
  readonly from: Pod;
  readonly dst: string;
  readonly sink: Sink;
  readonly form: keyof Arrived;
  readonly copies: number;
}

export const unicast: Row = {
  name: "unicast",
  run: async (context) => {
    const limit: Path = { name: "blind redirect_peer", connect: blind(context.programs.bpf), tags: false };
    const peers = await vlanSwitches(context);
    const limits = isEmulated() ? [] : [limit];
    const paths = [ours, bridge, ...limits, ...peers.map(({ path }) => path)];
    const { kernel, socket } = await stage(context, paths, async ({ connect }, name) => {
      const bed = await build(context.scope, name, 2, connect);
      const [from, to] = bed.pods as readonly [Pod, Pod];
      await announce(to);
      return { bed, shot: { from, dst: to.mac, sink: await sinkAt(context, [to]), form: "untagged", copies: 1 } };
    });
    const samples = await race(context, kernel);
    const bySocket = await race({ ...context, quick: true }, socket);
    const what = "known unicast, pod to pod";
    const bound: Bound = { sense: "at-least", must: 1.4, aim: 1.7, unit: "x" };
    return {
      figures: [
        figure(samples, what, bridge, bound),
        ...limits.map((path) => figure(samples, what, path, atLeast([0.8, 0.95]))),
        ...peers.map((peer) => figure(samples, what, peer.path, atLeast(peer.unicast))),
      ],
      notes: [
        HOW,
        "the Linux bridge is without vlan_filtering, and has bridge-nf-call-iptables 0 (with the default of 1 it would be slower)",
        `with a sender in user space, its cost included: ${compare(figure(bySocket, what, bridge, bound))}`,
      ],
      samples: { kernel: samples, socket: bySocket },
    };
  },
};

export const push: Row = {
  name: "push",
  run: async (context) => {
    const peers = await vlanSwitches(context);
    const { kernel } = await stage(context, [ours, bridge, ...peers.map(({ path }) => path)], async (path, name) => {
      const bed = await build(context.scope, name, 1, path.connect, { nic: true });
      const [from] = bed.pods as readonly [Pod];
      const wire = bed.wire as Pod;
      const form = path.tags ? "tagged" : "untagged";
      await announce(wire, path.tags ? VLAN : 0);
      return { bed, shot: { from, dst: wire.mac, sink: await sinkAt(context, [wire]), form, copies: 1 } };
    });
    const samples = await race(context, kernel);
    const what = "pod to tagged uplink";
    return {
      figures: [
        figure(samples, what, bridge, { sense: "at-least", must: 1.1, aim: 1.3, unit: "x" }),
        ...peers.map((peer) => figure(samples, what, peer.path, atLeast(peer.push))),
      ],
      notes: ["all push a VLAN tag but the Linux bridge, which sends untagged"],
      samples,
    };
  },
};

/**
 * By socket, since the buffers of the kernel's frame source are 4 KiB long: bpf_clone_redirect allocates such a one anew
 * for every copy, where a workload's own small frame costs a small one. What the sender costs is shared by the copies.
 */
export const flood: Row = {
  name: "flood",
  run: async (context) => {
    const { kernel, socket } = await stage(context, [ours, bridge], async ({ connect }, name) => {
      const bed = await build(context.scope, name, COPIES + 1, connect);
      const [from, ...rest] = bed.pods as readonly [Pod, ...Pod[]];
      const sink = await sinkAt(context, rest);
      return { bed, shot: { from, dst: BROADCAST, sink, form: "untagged", copies: COPIES } };
    });
    const samples = await race(context, socket);
    const byKernel = await race({ ...context, quick: true }, kernel);
    const what = `flood to ${COPIES} ports, copies`;
    const bound: Bound = { sense: "at-least", must: 1, aim: 1.3, unit: "x" };
    return {
      figures: [figure(samples, what, bridge, bound)],
      notes: [
        "broadcast in one VLAN, from a sender in user space by AF_PACKET, its cost included; with frames made by the " +
          `kernel, in buffers of 4 KiB: ${compare(figure(byKernel, what, bridge, bound))}`,
      ],
      samples: { socket: samples, kernel: byKernel },
    };
  },
};

function compare({ ours: mine, peer, unit, ratio }: Figure): string {
  return `${mine.toFixed(3)} against ${peer.toFixed(3)} ${unit}, ${ratio.median.toFixed(2)}x`;
}

/** Sets the contenders up; each can be measured with either source of frames. */
async function stage(
  context: RowContext,
  paths: readonly Path[],
  prepare: (path: Path, name: string) => Promise<{ readonly bed: Bed; readonly shot: Shot }>,
): Promise<{ readonly kernel: readonly Contender[]; readonly socket: readonly Contender[] }> {
  const kernel: Contender[] = [];
  const socket: Contender[] = [];
  for (const [at, path] of paths.entries()) {
    const { shot, bed } = await prepare(path, `c${at}`);
    await openInlet(context.scope, context.programs, bed.host, shot.from.port);
    kernel.push({ name: path.name, measure: () => fire(context, shot, "kernel") });
    socket.push({ name: path.name, measure: () => fire(context, shot, "socket") });
  }
  return { kernel, socket };
}

async function sinkAt({ scope, programs }: RowContext, pods: readonly Pod[]): Promise<Sink> {
  const sink = new Sink(scope, programs.bpf);
  for (const { host, ifindex } of pods) await sink.attach(host, ifindex);
  return sink;
}

async function fire(context: RowContext, shot: Shot, source: "kernel" | "socket"): Promise<Sample> {
  const { scope, programs, quick } = context;
  const { from, dst, sink, form, copies } = shot;
  const frame = payloadFrame(from.mac, dst);
  const spec = { from: from.host, frame, sink, form, copies, source, cpuSeconds: quick ? 0.1 : 0.25 };
  return await burst(scope, programs, spec);
}

function race({ scope, quick }: RowContext, contenders: readonly Contender[]): Promise<Samples> {
  return interleave(contenders, { warmups: 1, counted: quick ? 5 : 15, signal: scope.signal });
}

function figure(samples: Samples, what: string, peer: Path, bound: Bound): Figure {
  const mine = column(samples, ours.name, "perCpuSecond");
  const theirs = column(samples, peer.name, "perCpuSecond");
  return {
    what,
    ours: median(mine) / 1e6,
    peer: median(theirs) / 1e6,
    unit: "Mpps",
    peerName: peer.name,
    ratio: ratios(mine, theirs),
    bound,
    judged: "ratio",
  };
}
