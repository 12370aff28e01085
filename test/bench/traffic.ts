/** Frames from one pod, counted and dropped where they arrive: what all rows of packets a second share. */
import { cpus, release } from "node:os";
import type { LabHost } from "../../daemon/demo/lab.ts";
import type { BpfMap, BpfObject, BpfProgram } from "../../daemon/kernel/bpf.ts";
import { ETH_P_IP, frame } from "../peers/frames.ts";
import type { Programs } from "./programs.ts";
import type { Sample } from "./rounds.ts";
import type { Scope } from "./scope.ts";

export interface Arrived {
  readonly untagged: number;
  readonly tagged: number;
}

/** Hangs on the receivers of every contender alike; counts them together. */
export class Sink {
  readonly #scope: Scope;
  readonly #objectFile: string;
  readonly #parts: { readonly host: LabHost; readonly arrived: BpfMap }[] = [];

  constructor(scope: Scope, objectFile: string) {
    this.#scope = scope;
    this.#objectFile = objectFile;
  }

  async attach(host: LabHost, ifindex: number): Promise<void> {
    const object = await loadBench(this.#scope, host, this.#objectFile, {});
    const link = await host.namespace.bpf.attachTcx(program(object, "sink"), ifindex);
    this.#scope.defer(() => link.close());
    const arrived = object.maps.get("arrived");
    if (!arrived) throw new Error("the bench object has no map arrived");
    this.#parts.push({ host, arrived });
  }

  async read(): Promise<Arrived> {
    const total = { untagged: 0, tagged: 0 };
    for (const { host, arrived } of this.#parts) {
      total.untagged += await sum(host, arrived, 0);
      total.tagged += await sum(host, arrived, 1);
    }
    return total;
  }
}

async function sum(host: LabHost, map: BpfMap, key: number): Promise<number> {
  const value = await host.namespace.bpf.lookup(map, new Uint8Array([key, 0, 0, 0]));
  return [...new BigUint64Array((value ?? new Uint8Array()).slice().buffer)].reduce((a, b) => a + Number(b), 0);
}

export async function loadBench(
  scope: Scope,
  host: LabHost,
  objectFile: string,
  constants: Readonly<Record<string, number>>,
): Promise<BpfObject> {
  const object = await host.namespace.bpf.load(objectFile, { constants });
  scope.defer(() => {
    for (const map of object.maps.values()) map.close();
    for (const one of object.programs.values()) one.close();
  });
  return object;
}

export function program(object: BpfObject, name: string): BpfProgram {
  const found = object.programs.get(name);
  if (!found) throw new Error(`the bench object has no program ${name}`);
  return found;
}

/** bpf_redirect_peer makes frames PACKET_HOST itself from 6.15 on. */
export function needsChangeType(): number {
  const [major = 0, minor = 0] = release().split(/[.-]/).map(Number);
  return major < 6 || (major === 6 && minor < 15) ? 1 : 0;
}

/** 60 octets: IPv4 with UDP, so that every datapath takes it for what pods send. The tag comes on top. */
export function payloadFrame(src: string, dst: string, vlan = 0): Uint8Array {
  const ip = [0x45, 0, 0, 46, 0, 0, 0, 0, 64, 17, 0x66, 0xbd, 10, 0, 0, 1, 10, 0, 0, 2];
  const udp = [0x10, 0, 0x20, 0, 0, 26, 0, 0];
  const tags = vlan === 0 ? {} : { tags: [{ vid: vlan }] };
  return frame({ src, dst, etherType: ETH_P_IP, payload: new Uint8Array([...ip, ...udp]), ...tags });
}

/** Sends one frame, for switches to learn its source from. */
export async function introduce(host: LabHost, ifindex: number, data: Uint8Array): Promise<void> {
  const socket = await host.namespace.openPacketSocket({ ifindex }, () => undefined);
  await socket.send(data);
  await socket.close();
}

export interface Burst {
  readonly from: LabHost;
  readonly frame: Uint8Array;
  /** where they must arrive, and in which form */
  readonly sink: Sink;
  readonly form: keyof Arrived;
  /** how often each frame must arrive */
  readonly copies: number;
  readonly cpuSeconds: number;
  /** who makes the frames: load/live.c (needs an inlet at the other end of eth0) or load/send.c */
  readonly source: "kernel" | "socket";
}

/** The last core: the first one has the interrupts. */
const CPU = cpus().length - 1;
/** On a busy machine it takes long to get so much CPU time. */
const PATIENCE = 20;

/** Makes the host's end of a veth take frames from load/live.c. */
export async function openInlet(scope: Scope, { live, source }: Programs, host: LabHost, port: number): Promise<void> {
  const link = await host.namespace.link({ ifindex: port });
  await scope.run(live, ["inlet", source, host.path, link?.name ?? ""]);
}

/**
 * `perCpuSecond`: frames that arrived for each second of CPU time that sending them took (load/live.c says why that is
 * all of the datapath's work); `perSecond`: by the clock on the wall.
 */
export async function burst(scope: Scope, { live, source, send }: Programs, spec: Burst): Promise<Sample> {
  const before = await spec.sink.read();
  const hex = Buffer.from(spec.frame).toString("hex");
  const limit = spec.cpuSeconds * PATIENCE;
  const args = [spec.from.path, "eth0", `${CPU}`, `${spec.cpuSeconds}`, `${limit}`, hex];
  const made = spec.source === "kernel" ? scope.run(live, ["send", source, ...args]) : scope.run(send, args);
  const told = JSON.parse(await made) as { frames: number; seconds: number; cpuSeconds: number };
  const after = await spec.sink.read();
  const due = told.frames * spec.copies;
  const seen = after[spec.form] - before[spec.form];
  const arrived = Math.min(seen, due); // a host may say something of its own now and then
  if (seen < due * 0.99 || seen > due * 1.01) {
    throw new Error(`${told.frames} frames were sent, ${due} must arrive ${spec.form}, and ${seen} did`);
  }
  return { perCpuSecond: arrived / told.cpuSeconds, perSecond: arrived / told.seconds, ...told, arrived };
}
