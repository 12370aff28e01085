/**
 * The BPF switch on a bench: a namespace of its own, the object loaded without pins, ports and FDB set straight in the
 * maps, frames run through the program or sent over veths. Nothing of the daemon is between.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { release, tmpdir } from "node:os";
import { join } from "node:path";
import {
  decodeEvent,
  decodeFdbEntry,
  decodeFdbKey,
  decodeSweep,
  encodeConfig,
  encodeFdbEntry,
  encodeFdbKey,
  encodeFlood,
  encodePort,
  encodeSweep,
  encodeU32,
  decodeU32,
  noPort,
  sumCounters,
  sumDrops,
  sumPortStats,
  type Counters,
  type FdbRecord,
  type PortStats,
  type Sweep,
  type SwitchConfig,
  type SwitchEvent,
} from "../../daemon/datapath/ebpf/layout.ts";
import type { BpfLink, BpfMap, BpfObject, BpfProgram } from "../../daemon/kernel/bpf.ts";
import type { Namespace, NetnsHandle } from "../../daemon/kernel/kernel.ts";
import { nativeKernel } from "../../daemon/kernel/native.ts";
import type { PortConfig } from "../../daemon/model/port.ts";
import { VlanSet } from "../../daemon/model/vlan-set.ts";
import { PLAIN_PORT } from "./port-config.ts";
import { HAS_TCX } from "../support/hooks.ts";

export const OBJECT = new URL("../../build/bpf/switch.bpf.o", import.meta.url).pathname;
const VERDICTS = new Map([
  [0, "host"],
  [2, "drop"],
  [7, "redirect"],
]);
/** ids that the benches look at */
const IDS = Array.from({ length: 16 }, (_, id) => id);

export interface PortSpec extends Partial<PortConfig> {
  readonly ifindex: number;
}
/** Access port of one VLAN. */
export function access(vid: number): Pick<PortConfig, "pvid" | "allowed" | "untagged"> {
  return { pvid: vid, allowed: VlanSet.of(vid), untagged: VlanSet.of(vid) };
}
/** All VLANs tagged but the native one, if it is not 0. */
export function trunk(vlans: string, native = 0): Pick<PortConfig, "pvid" | "allowed" | "untagged"> {
  const bare = native === 0 ? VlanSet.empty : VlanSet.of(native);
  return { pvid: native, allowed: VlanSet.parse(vlans).union(bare), untagged: bare };
}

export interface Run {
  readonly verdict: string;
  readonly data: Uint8Array;
}
/** What was counted, without what is 0: "1/100" is VLAN 100 of port 1. */
export interface Tally {
  readonly drops: Record<string, number>; // "1/mtu"
  readonly rx: Record<string, number>;
  readonly tx: Record<string, number>;
}

/** Since Linux 6.15 bpf_redirect_peer makes a frame PACKET_HOST by itself. */
function needsChangeType(): boolean {
  const [major = 0, minor = 0] = release().split(".").map(Number);
  return major < 6 || (major === 6 && minor < 15);
}

/** Namespaces of one test file; everything that it made is gone after close. */
export class Lab {
  readonly #dir: string;
  readonly #paths: string[] = [];
  readonly #open: { readonly handle: NetnsHandle; readonly ns: Namespace }[] = [];

  private constructor(dir: string) {
    this.#dir = dir;
  }
  static async create(): Promise<Lab> {
    return new Lab(await mkdtemp(join(tmpdir(), `pw-bench-${process.pid}-`)));
  }

  async namespace(name: string): Promise<Namespace> {
    const kernel = nativeKernel();
    const path = this.path(name);
    await kernel.createNetns(path);
    this.#paths.push(path);
    const handle = kernel.openNetns(path);
    const ns = await kernel.enter(handle);
    this.#open.push({ handle, ns });
    // No router solicitations and the like between the test's frames.
    await ns.writeSysctl("net/ipv6/conf/all/disable_ipv6", "1");
    await ns.writeSysctl("net/ipv6/conf/default/disable_ipv6", "1");
    return ns;
  }

  /** for nsenter */
  path(name: string): string {
    return join(this.#dir, name);
  }

  /** A veth: `name` in `host`, "eth0" in `peer`; both up. */
  async veth(host: Namespace, name: string, peer: Namespace, mtu = 1500): Promise<{ host: number; peer: number }> {
    const made = await host.createLink({
      name,
      kind: "veth",
      up: true,
      mtu,
      peer: { name: "eth0", netns: peer.handle, mtu },
    });
    const end = await peer.link({ name: "eth0" });
    if (end === null) throw new Error(`the peer of ${name} is not there`);
    await peer.changeLink({ ifindex: end.ifindex }, { up: true });
    return { host: made.ifindex, peer: end.ifindex };
  }

  async close(): Promise<void> {
    for (const { handle, ns } of this.#open) {
      await ns.close();
      handle.close();
    }
    for (const path of this.#paths) await nativeKernel().removeNetns(path);
    await rm(this.#dir, { recursive: true, force: true });
  }
}

export class SwitchBench {
  readonly ns: Namespace;
  readonly #object: BpfObject;
  readonly #ports = new Map<number, { readonly config: PortConfig; readonly slotBase: number }>();
  readonly #links: BpfLink[] = [];
  /** links with a clsact filter, which does not go with the program's descriptor */
  readonly #filtered: number[] = [];
  readonly #rings: { close(): Promise<void> }[] = [];
  readonly events: SwitchEvent[] = [];
  #nextSlot = 0;

  private constructor(ns: Namespace, object: BpfObject) {
    this.ns = ns;
    this.#object = object;
  }

  static async load(
    ns: Namespace,
    maxEntries: Readonly<Record<string, number>> = {},
    changeType = needsChangeType(),
  ): Promise<SwitchBench> {
    const constants = { pw_change_type: changeType ? 1 : 0 };
    return new SwitchBench(ns, await ns.bpf.load(OBJECT, { constants, maxEntries }));
  }

  async close(): Promise<void> {
    for (const ring of this.#rings) await ring.close();
    for (const link of this.#links) link.close();
    for (const ifindex of this.#filtered) await this.ns.bpf.detachClsact(ifindex);
    for (const map of this.#object.maps.values()) map.close();
    for (const program of this.#object.programs.values()) program.close();
  }

  async #attachClsact(program: BpfProgram, ifindex: number): Promise<void> {
    await this.ns.bpf.attachClsact(program, ifindex);
    this.#filtered.push(ifindex);
  }

  map(name: string): BpfMap {
    const map = this.#object.maps.get(name);
    if (map === undefined) throw new Error(`no map ${name}`);
    return map;
  }

  async attach(...ifindexes: readonly number[]): Promise<void> {
    const program = this.#program("port_ingress");
    for (const ifindex of ifindexes) {
      if (HAS_TCX) this.#links.push(await this.ns.bpf.attachTcx(program, ifindex));
      else await this.#attachClsact(program, ifindex);
    }
  }

  /** Sets the port and, unless it is to stay out of it, the flood lists of all domains. */
  async port(id: number, { ifindex, ...config }: PortSpec): Promise<void> {
    const whole: PortConfig = {
      ...{ ...PLAIN_PORT, pvid: 0, allowed: VlanSet.empty, untagged: VlanSet.empty, peer: false },
      ...config,
    };
    const slotBase = this.#nextSlot;
    this.#nextSlot += whole.allowed.count;
    this.#ports.set(id, { config: whole, slotBase });
    await this.#write("ports", encodeU32(id), encodePort({ ifindex, slotBase, config: whole }));
    await this.#write(ifindex < 65536 ? "if2port" : "if2port_high", encodeU32(ifindex), encodeU32(id));
    await this.flood();
  }

  async removePort(id: number): Promise<void> {
    await this.#write("ports", encodeU32(id), noPort());
  }

  /** Writes every domain's list; `members` overrides what the ports say, to show a list that is behind. */
  async flood(members: Readonly<Record<number, { untagged: number[]; tagged: number[] }>> = {}): Promise<void> {
    const lists = new Map<number, { untagged: number[]; tagged: number[] }>();
    for (const [id, { config }] of this.#ports) {
      for (const vid of config.allowed) {
        const list = lists.get((config.switchId << 12) | vid) ?? { untagged: [], tagged: [] };
        (config.untagged.has(vid) ? list.untagged : list.tagged).push(id);
        lists.set((config.switchId << 12) | vid, list);
      }
    }
    for (const [domain, list] of Object.entries(members)) lists.set(Number(domain), list);
    for (const [domain, list] of lists) await this.#write("flood", encodeU32(domain), encodeFlood(list));
  }

  async configure(config: SwitchConfig): Promise<void> {
    await this.#write("config", encodeU32(0), encodeConfig(config));
  }

  async setFdb(mac: string, domain: number, record: Partial<FdbRecord> & { portId: number }): Promise<void> {
    const whole = { isStatic: true, sticky: false, tick: 0, ...record };
    await this.#write("fdb", encodeFdbKey({ mac, domain }), encodeFdbEntry(whole));
  }

  async fdbEntry(mac: string, domain: number): Promise<FdbRecord | null> {
    const value = await this.ns.bpf.lookup(this.map("fdb"), encodeFdbKey({ mac, domain }));
    return value === null ? null : decodeFdbEntry(value);
  }

  /** "02:00:00:00:00:01/100" -> port id */
  async fdb(): Promise<Record<string, number>> {
    const { count, keys, values } = await this.ns.bpf.readAll(this.map("fdb"));
    const found: Record<string, number> = {};
    for (let i = 0; i < count; i++) {
      const { mac, domain } = decodeFdbKey(keys, i * 8);
      found[`${mac}/${domain}`] = decodeFdbEntry(values, i * 8).portId;
    }
    return found;
  }

  async learned(id: number): Promise<number> {
    return decodeU32(await this.#read("fdb_count", id));
  }

  async stats(id: number): Promise<PortStats> {
    return sumPortStats(await this.#read("port_stats", id), nativeKernel().cpus);
  }

  async sweep(sweep: Sweep): Promise<{ readonly removed: number; readonly kept: number }> {
    const { context } = await this.ns.bpf.testRun(this.#program("fdb_sweep"), { context: encodeSweep(sweep) });
    return decodeSweep(context);
  }

  async syscall(program: string, context: Uint8Array): Promise<Uint8Array> {
    return (await this.ns.bpf.testRun(this.#program(program), { context })).context;
  }

  /** The program over one frame. A clone goes out for real; a redirect is the verdict only. */
  async run(ifindex: number, data: Uint8Array, gsoSize = 0, repeat = 1): Promise<Run> {
    const context = new Uint8Array(192); // struct __sk_buff, uapi/linux/bpf.h
    new DataView(context.buffer).setUint32(40, ifindex, true);
    new DataView(context.buffer).setUint32(176, gsoSize, true);
    const result = await this.ns.bpf.testRun(this.#program("port_ingress"), { data, context, repeat });
    const verdict = VERDICTS.get(result.returnValue) ?? `${result.returnValue}`;
    return { verdict, data: result.data };
  }

  async watchEvents(): Promise<void> {
    const onRecords = (records: readonly Uint8Array[]): void => {
      for (const record of records) {
        const event = decodeEvent(record);
        if (event !== null) this.events.push(event);
      }
    };
    this.#rings.push(await this.ns.bpf.readRing(this.map("events"), onRecords));
  }

  async tally(): Promise<Tally> {
    const { cpus } = nativeKernel();
    const tally: Tally = { drops: {}, rx: {}, tx: {} };
    for (const id of IDS) {
      for (const [reason, count] of Object.entries(sumDrops(await this.#read("drops", id), cpus))) {
        if (count > 0n) tally.drops[`${id}/${reason}`] = Number(count);
      }
    }
    for (const [id, { config }] of this.#ports) {
      for (const vid of config.allowed) {
        const { rxPackets, txPackets } = await this.counters(id, vid);
        if (rxPackets > 0) tally.rx[`${id}/${vid}`] = rxPackets;
        if (txPackets > 0) tally.tx[`${id}/${vid}`] = txPackets;
      }
    }
    return tally;
  }

  async counters(id: number, vid: number): Promise<{ [Key in keyof Counters]: number }> {
    const port = this.#ports.get(id);
    if (port === undefined) throw new Error(`no port ${id}`);
    const slot = await this.#read("counters", port.slotBase + port.config.allowed.rank(vid));
    const { rxPackets, rxBytes, txPackets, txBytes } = sumCounters(slot, nativeKernel().cpus);
    return {
      rxPackets: Number(rxPackets),
      rxBytes: Number(rxBytes),
      txPackets: Number(txPackets),
      txBytes: Number(txBytes),
    };
  }

  async bytes(id: number, vid: number): Promise<{ rx: number; tx: number }> {
    const { rxBytes, txBytes } = await this.counters(id, vid);
    return { rx: rxBytes, tx: txBytes };
  }

  #program(name: string) {
    const program = this.#object.programs.get(name);
    if (program === undefined) throw new Error(`no program ${name}`);
    return program;
  }

  async #read(map: string, index: number): Promise<Uint8Array> {
    const value = await this.ns.bpf.lookup(this.map(map), encodeU32(index));
    if (value === null) throw new Error(`${map} has no ${index}`);
    return value;
  }

  async #write(map: string, key: Uint8Array, value: Uint8Array): Promise<void> {
    await this.ns.bpf.update(this.map(map), key, value);
  }
}
