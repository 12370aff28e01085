// The same topologies and the same frames on both datapaths: the same deliveries, with the same tags. What is generated
// is printed with its seed; PORTWRIGHT_SEED repeats a run, PORTWRIGHT_RUNS makes it longer.
import { mkdtemp, rm } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import test, { type ExecutionContext } from "ava";
import fc from "fast-check";
import { BridgeDatapath } from "../../../daemon/datapath/bridge/bridge-datapath.ts";
import { EbpfDatapath } from "../../../daemon/datapath/ebpf/ebpf-datapath.ts";
import { Lab } from "../../../daemon/demo/lab.ts";
import { nativeKernel } from "../../../daemon/kernel/native.ts";
import { linkCreate } from "../../../daemon/links/link.ts";
import { bridge } from "../../../daemon/links/bridge.ts";
import { type DatapathKind, membership, type PortConfig } from "../../../daemon/model/port.ts";
import { VlanSet } from "../../../daemon/model/vlan-set.ts";
import { bpfObjectFile } from "../../../daemon/package-files.ts";
import { removePinRoot } from "../../../daemon/pin-root.ts";
import { BROADCAST, ETH_P_TEST, frame, station, type Tag, TPID_8021AD, text } from "../../peers/frames.ts";
import { type Arrival, SwitchBed } from "../../support/switch-bed.ts";
import { PATIENCE } from "../../support/until.ts";

/** Ports 0..3 are of workloads, the last one is an uplink. The first ones may be held to their own station. */
const PORTS = 5;
const HOLDABLE = 2;
const UPLINK = PORTS - 1;
const SWITCHES = 2;
/** Number of a station that never says anything. */
const NOBODY = PORTS + 1;
const RUNS = Number(process.env["PORTWRIGHT_RUNS"] ?? 100);
const SEED = Number(process.env["PORTWRIGHT_SEED"] ?? Date.now() % 2 ** 31);

/** `held`: only the port's own station may send from it */
type Port = Omit<PortConfig, "datapath" | "sourceMac"> & { readonly held: boolean };
type Step =
  | { readonly op: "set"; readonly port: number; readonly config: Port }
  | {
      readonly op: "send";
      readonly port: number;
      readonly src: number;
      readonly dst: Destination;
      readonly tags: readonly Tag[];
      readonly length: number;
    };
/** A group's address, or the number of a station. */
type Destination = string | number;
/** The configuration of each port, then what happens. */
interface Script {
  readonly ports: readonly Port[];
  readonly steps: readonly Step[];
}

// ---- what is generated

/** Few VLANs, so that ports have some in common; the edges of the range and of the bitmap's words among them. */
const vid = fc.constantFrom(10, 10, 10, 10, 10, 1, 20, 31, 32, 4094);
const vids = fc.uniqueArray(vid, { maxLength: 4 }).map((list) => VlanSet.from(list));
const switchId = fc.constantFrom(0, 0, 0, 0, 0, 0, 0, SWITCHES - 1);
const plain = { mtu: 1500, fdbLimit: 0, open: true, held: false } as const;

const vlans = fc.oneof(
  fc.record({ mode: fc.constant("access" as const), vlan: vid }),
  fc.record({ mode: fc.constant("trunk" as const), tagged: vids, native: fc.oneof(fc.constant(0), vid) }),
);

const workloadPort: fc.Arbitrary<Port> = fc
  .record({
    ...{ vlans, switchId, isolated: fc.boolean(), learn: often(true), flood: often(true) },
    ...{ hairpin: often(false), open: often(true) },
  })
  .map(({ vlans: asked, ...others }) => ({
    ...plain,
    ...others,
    // What the kernel's bridge keeps closed is in no VLAN.
    ...(others.open ? membership(asked, 1) : { pvid: 0, allowed: VlanSet.empty, untagged: VlanSet.empty }),
    kind: "veth",
    uplink: false,
    peer: true,
  }));

const uplinkPort: fc.Arbitrary<Port> = fc
  .record({ tagged: vids, native: fc.oneof(fc.constant(0), vid), switchId })
  .map(({ tagged, native, ...others }) => ({
    ...plain,
    ...others,
    ...membership({ mode: "trunk", tagged, native }, 1),
    kind: "nic",
    uplink: true,
    peer: false,
    isolated: false,
    learn: true,
    flood: true,
    hairpin: false,
  }));

/** What the kernel's bridge holds to an address learns; a port without a VLAN cannot be held there. */
const holdablePort = fc
  .tuple(workloadPort, fc.boolean())
  .map(([one, held]) => ({ ...one, learn: true, held: held && !one.allowed.isEmpty }));

const portAt = (port: number): fc.Arbitrary<Port> =>
  port === UPLINK ? uplinkPort : port < HOLDABLE ? holdablePort : workloadPort;

const tag: fc.Arbitrary<Tag> = fc.record({
  vid: fc.oneof(fc.constant(0), vid, vid, vid),
  pcp: fc.integer({ min: 0, max: 7 }),
});
const tags: fc.Arbitrary<readonly Tag[]> = fc.oneof(
  { weight: 5, arbitrary: fc.constant([]) },
  { weight: 5, arbitrary: tag.map((one) => [one]) },
  { weight: 1, arbitrary: fc.tuple(tag, tag) },
  { weight: 1, arbitrary: tag.map((one) => [{ ...one, tpid: TPID_8021AD }]) },
);

const destination = fc.oneof(
  fc.constant(BROADCAST),
  fc.constant("01:00:5e:01:02:03"), // a group that nobody has joined: flooded
  fc.constant("33:33:00:00:00:fb"),
  fc.constant(NOBODY),
  fc.integer({ min: 0, max: PORTS }),
  fc.integer({ min: 0, max: PORTS }),
);

const port = fc.integer({ min: 0, max: PORTS - 1 });
const send: fc.Arbitrary<Step> = fc
  .record({
    port,
    moved: fc.integer({ min: 0, max: 9 }),
    dst: destination,
    tags,
    length: fc.integer({ min: 46, max: 1400 }),
  })
  // Most frames come from their own station; now and then an address moves.
  .map(({ moved, ...others }) => ({ op: "send", src: moved > PORTS ? others.port : moved, ...others }));
const set: fc.Arbitrary<Step> = port.chain((at) =>
  portAt(at).map((config) => ({ op: "set" as const, port: at, config })),
);

const script: fc.Arbitrary<Script> = fc.record({
  ports: fc.tuple(...Array.from({ length: PORTS }, (_, at) => portAt(at))),
  steps: fc.array(fc.oneof({ weight: 9, arbitrary: send }, { weight: 1, arbitrary: set }), {
    minLength: 10,
    maxLength: 25,
  }),
});

function often(value: boolean): fc.Arbitrary<boolean> {
  return fc.oneof({ weight: 5, arbitrary: fc.constant(value) }, { weight: 1, arbitrary: fc.constant(!value) });
}

// ---- what is done with it

interface Beds {
  readonly ebpf: SwitchBed;
  readonly bridge: SwitchBed;
}

async function makeBeds(t: ExecutionContext): Promise<Beds> {
  const kernel = nativeKernel();
  const lab = new Lab(kernel, `pwdf${process.pid}`);
  const pinRoot = await mkdtemp("/run/pw-df-");
  t.teardown(async () => {
    await lab.dispose();
    removePinRoot(kernel, pinRoot);
    await rm(pinRoot, { recursive: true, force: true });
  });
  kernel.mountBpffs(pinRoot);
  const ebpf = await SwitchBed.make(lab, "ebpf", PORTS, UPLINK);
  const { namespace } = ebpf.host;
  ebpf.use(await EbpfDatapath.open({ kernel, namespace, pinRoot, objectFile: bpfObjectFile() }));
  const bridged = await SwitchBed.make(lab, "bridge", PORTS, UPLINK);
  for (let id = 0; id < SWITCHES; id++) {
    const switching = { datapath: "bridge", vlanFiltering: true, vlanLinks: true, hostKey: "differential" } as const;
    await bridged.host.namespace.createLink(linkCreate(bridge(`cn${id}`, id, 1500, switching)));
  }
  bridged.use(new BridgeDatapath(bridged.host.namespace, ""));
  t.teardown(async () => {
    await ebpf.close();
    await bridged.close();
  });
  return { ebpf, bridge: bridged };
}

let frames = 0;
/** Every play has stations of its own: what was learned in an earlier one is of no matter. */
let plays = 0;

/** Frames by their marks: all that were sent, and those that a port had to take for forged. */
interface Played {
  readonly sent: ReadonlyMap<string, Step>;
  readonly forged: readonly string[];
}

async function play({ ports, steps }: Script, beds: Beds, pauseMs: number): Promise<Played> {
  const both: readonly [SwitchBed, DatapathKind][] = [
    [beds.ebpf, "ebpf"],
    [beds.bridge, "bridge"],
  ];
  for (const [bed] of both) bed.forget();
  const first = plays++ * (NOBODY + 1);
  const now = [...ports];
  const setPort = async (at: number, { held, ...config }: Port): Promise<void> => {
    now[at] = { held, ...config };
    const sourceMac = held ? station(first + at) : "";
    await Promise.all(both.map(([bed, datapath]) => bed.setPort(at, { ...config, datapath, sourceMac })));
  };
  /** The bridge knows a station that a port is held to from the start, the switch when it has spoken. */
  const introduce = async (at: number): Promise<void> => {
    const own = station(first + at);
    for (const vlan of now[at]?.allowed ?? []) {
      const data = frame({
        dst: own,
        src: own,
        tags: [{ vid: vlan }],
        etherType: ETH_P_TEST,
        payload: new Uint8Array(46),
      });
      await Promise.all(both.map(([bed]) => bed.send(at, data)));
    }
    await sleep(pauseMs);
  };
  for (const [at, config] of ports.entries()) await setPort(at, config);
  for (let at = 0; at < HOLDABLE; at++) await introduce(at);
  const sent = new Map<string, Step>();
  const forged: string[] = [];
  for (const step of steps) {
    if (step.op === "set") {
      await setPort(step.port, step.config);
      if (step.port < HOLDABLE) await introduce(step.port);
      continue;
    }
    const isHeld = now[step.port]?.held === true;
    // Where it has no port of its own an address that another port is held to moves on the switch, and stays on the bridge.
    if (step.src !== step.port && !isHeld && now[step.src]?.held === true) continue;
    const mark = `<${frames++}>`;
    if (isHeld && step.src !== step.port) forged.push(mark);
    const payload = new Uint8Array(step.length);
    payload.set(text(mark));
    const dst = typeof step.dst === "string" ? step.dst : station(first + step.dst);
    const data = frame({
      ...{ dst, src: station(first + step.src), tags: step.tags, etherType: ETH_P_TEST, payload },
    });
    await Promise.all(both.map(([bed]) => bed.send(step.port, data)));
    sent.set(mark, step);
    await sleep(pauseMs);
  }
  return { sent, forged };
}

interface Difference {
  readonly mark: string;
  readonly ebpf: readonly Arrival[];
  readonly bridge: readonly Arrival[];
}

function compare(marks: readonly string[], { ebpf, bridge: bridged }: Beds): readonly Difference[] {
  return marks
    .map((mark) => ({ mark, ebpf: ebpf.arrived(mark), bridge: bridged.arrived(mark) }))
    .filter((one) => JSON.stringify(one.ebpf) !== JSON.stringify(one.bridge));
}

const PAUSE_MS = 1;
const SLOW_PAUSE_MS = 20;
const QUIET_MS = 20;
const LIMIT_MS = 1000;

/** Frames are handed on at the next moment that the core has for it: a switch may be behind the other one for a while. */
async function settled(marks: readonly string[], beds: Beds): Promise<readonly Difference[]> {
  const limit = performance.now() + LIMIT_MS * PATIENCE;
  for (;;) {
    await sleep(QUIET_MS);
    const differences = compare(marks, beds);
    if (differences.length === 0 || performance.now() > limit) return differences;
  }
}

test("generated topologies and frames: both datapaths deliver the same frames with the same tags", async (t) => {
  t.timeout(3_600_000);
  const beds = await makeBeds(t);
  let delivered = 0;
  let count = 0;
  let forgeries = 0;
  const property = fc.asyncProperty(script, async (one) => {
    let { sent, forged } = await play(one, beds, PAUSE_MS);
    let differences = await settled([...sent.keys()], beds);
    if (differences.length > 0) {
      // Frames that overtake one another on the way to the switch teach it differently: that is no fault of the switch.
      ({ sent, forged } = await play(one, beds, SLOW_PAUSE_MS * PATIENCE));
      differences = await settled([...sent.keys()], beds);
    }
    count += sent.size;
    forgeries += forged.length;
    const passed = forged.filter((mark) => beds.ebpf.arrived(mark).length > 0);
    if (passed.length > 0) throw new Error(`forged frames were delivered: ${passed.join()}, ${JSON.stringify(one)}`);
    for (const mark of sent.keys()) delivered += beds.ebpf.arrived(mark).length;
    if (differences.length > 0) throw new Error(JSON.stringify(describe(one, sent, differences)));
  });
  await fc.assert(property, { seed: SEED, numRuns: RUNS, endOnFailure: true, includeErrorInReport: true });
  t.is(beds.ebpf.dropped + beds.bridge.dropped, 0);
  t.log(
    `seed ${SEED}: ${RUNS} topologies, ${count} frames, ${delivered} deliveries, the same on both; ${forgeries} forged`,
  );
  t.true(delivered > count / 4, "frames that nobody gets prove little");
  t.true(forgeries > RUNS / 4, "a check that nobody fails proves little");
});

function describe(one: Script, sent: Played["sent"], differences: readonly Difference[]): object {
  return {
    seed: SEED,
    ports: one.ports,
    differences: differences.map((difference) => ({ ...difference, step: sent.get(difference.mark) })),
  };
}
