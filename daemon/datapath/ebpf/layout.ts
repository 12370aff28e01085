/**
 * bpf/abi.h in TypeScript: the bytes of every map key and value, and what they mean. Little-endian, as every machine
 * that both Node and this switch run on. Offsets are in abi-table.ts. Pure.
 */
import { formatMac, macBytes } from "../../model/mac.ts";
import type { PortConfig, PortKind } from "../../model/port.ts";
import { VlanSet } from "../../model/vlan-set.ts";
import { DROP_REASONS, type DropReason } from "../drop-reasons.ts";
import { at, viewOf } from "./abi-table.ts";

export const ABI_VERSION = 2;
export const MAX_PORTS = 4096;
export const MAX_SWITCHES = 16;
export const DENSE_IFINDEX = 65536;
export const FLOOD_MAX = 1024;
export const SLOTS_MAX = 16384;
export const TICK_SHIFT = 8;

export const FDB_STATIC = 0x0001;
export const FDB_STICKY = 0x0002;

const KINDS: readonly PortKind[] = ["veth", "nic", "tap", "host"]; // PW_KIND_VETH is 1
const FLAG = { up: 1, peer: 2, isolated: 4, single: 8, learn: 0x10, flood: 0x20, uplink: 0x40, hairpin: 0x80 } as const;

// ---- keys ------------------------------------------------------------------------------------------------------------

export function encodeU32(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  viewOf(bytes).setUint32(0, value, true);
  return bytes;
}

export function decodeU32(bytes: Uint8Array, offset = 0): number {
  return viewOf(bytes).getUint32(offset, true);
}

/** `domain` is switchId << 12 | vid. */
export interface FdbKey {
  readonly mac: string;
  readonly domain: number;
}

export function encodeFdbKey({ mac, domain }: FdbKey): Uint8Array {
  const octets = macBytes(mac);
  if (!Number.isInteger(domain) || domain < 0 || domain > 0xffff) throw new RangeError(`no such domain: ${domain}`);
  // A u64 whose most significant octet is the first of the MAC: in memory the other way round.
  return Uint8Array.of(domain & 0xff, domain >>> 8, ...octets.toReversed());
}

/** A MAC as the FDB key has it, in domain 0. */
function macWord(mac: string): bigint {
  return viewOf(encodeFdbKey({ mac, domain: 0 })).getBigUint64(0, true);
}

/** 0: none */
function wordMac(word: bigint): string {
  if (word === 0n) return "";
  const bytes = new Uint8Array(8);
  viewOf(bytes).setBigUint64(0, word, true);
  return decodeFdbKey(bytes).mac;
}

export function decodeFdbKey(bytes: Uint8Array, offset = 0): FdbKey {
  const mac = formatMac(bytes.subarray(offset + 2, offset + 8).toReversed());
  return { mac, domain: viewOf(bytes).getUint16(offset, true) };
}

// ---- ports -----------------------------------------------------------------------------------------------------------

export interface PortRecord {
  readonly ifindex: number;
  /** first counter slot; there is one for each allowed VLAN, in ascending order */
  readonly slotBase: number;
  readonly config: PortConfig;
}

export function encodePort({ ifindex, slotBase, config }: PortRecord): Uint8Array {
  const { allowed, untagged, pvid } = config;
  if (pvid !== 0 && !allowed.has(pvid)) throw new RangeError(`PVID ${pvid} is not among the allowed VLANs ${allowed}`);
  if (!untagged.isSubsetOf(allowed)) throw new RangeError(`untagged VLANs ${untagged} are not all allowed`);
  if (config.switchId >= MAX_SWITCHES)
    throw new RangeError(`switch id ${config.switchId} is above ${MAX_SWITCHES - 1}`);
  if (slotBase + allowed.count > SLOTS_MAX) throw new RangeError(`counter slots end at ${SLOTS_MAX}`);
  const bytes = new Uint8Array(at("pw_port"));
  const view = viewOf(bytes);
  view.setUint32(at("pw_port.ifindex"), ifindex, true);
  view.setUint16(at("pw_port.flags"), flagsOf(config), true);
  view.setUint16(at("pw_port.pvid"), pvid, true);
  view.setUint8(at("pw_port.kind"), KINDS.indexOf(config.kind) + 1);
  view.setUint8(at("pw_port.switch_id"), config.switchId);
  view.setUint16(at("pw_port.mtu"), Math.min(config.mtu, 0xffff), true);
  view.setUint32(at("pw_port.slot_base"), slotBase, true);
  view.setUint32(at("pw_port.slot_count"), allowed.count, true);
  view.setUint32(at("pw_port.fdb_limit"), config.fdbLimit, true);
  view.setBigUint64(at("pw_port.source"), config.sourceMac === "" ? 0n : macWord(config.sourceMac), true);
  bytes.set(allowed.toBitmap(), at("pw_port.allowed"));
  bytes.set(untagged.toBitmap(), at("pw_port.untagged"));
  ranks(allowed).forEach((rank, word) => {
    view.setUint16(at("pw_port.rank") + word * 2, rank, true);
  });
  return bytes;
}

/** null: no port has this id */
export function decodePort(bytes: Uint8Array, offset = 0): PortRecord | null {
  const record = bytes.subarray(offset, offset + at("pw_port"));
  const view = viewOf(record);
  const ifindex = view.getUint32(at("pw_port.ifindex"), true);
  const kind = KINDS[view.getUint8(at("pw_port.kind")) - 1];
  if (ifindex === 0 || kind === undefined) return null;
  const flags = view.getUint16(at("pw_port.flags"), true);
  const set = (name: string): VlanSet => VlanSet.fromBitmap(record.subarray(at(name), at(name) + 512));
  return {
    ifindex,
    slotBase: view.getUint32(at("pw_port.slot_base"), true),
    config: {
      kind,
      switchId: view.getUint8(at("pw_port.switch_id")),
      pvid: view.getUint16(at("pw_port.pvid"), true),
      allowed: set("pw_port.allowed"),
      untagged: set("pw_port.untagged"),
      mtu: view.getUint16(at("pw_port.mtu"), true),
      uplink: (flags & FLAG.uplink) !== 0,
      isolated: (flags & FLAG.isolated) !== 0,
      learn: (flags & FLAG.learn) !== 0,
      flood: (flags & FLAG.flood) !== 0,
      peer: (flags & FLAG.peer) !== 0,
      datapath: "ebpf",
      fdbLimit: view.getUint32(at("pw_port.fdb_limit"), true),
      open: (flags & FLAG.up) !== 0,
      hairpin: (flags & FLAG.hairpin) !== 0,
      sourceMac: wordMac(view.getBigUint64(at("pw_port.source"), true)),
    },
  };
}

/** The value of an id that no port has. */
export function noPort(): Uint8Array {
  return new Uint8Array(at("pw_port"));
}

function flagsOf(config: PortConfig): number {
  return (
    (config.open ? FLAG.up : 0) |
    (config.peer ? FLAG.peer : 0) |
    (config.isolated ? FLAG.isolated : 0) |
    (config.allowed.count === 1 ? FLAG.single : 0) |
    (config.learn ? FLAG.learn : 0) |
    (config.flood ? FLAG.flood : 0) |
    (config.uplink ? FLAG.uplink : 0) |
    (config.hairpin ? FLAG.hairpin : 0)
  );
}

function ranks(allowed: VlanSet): Uint16Array {
  const perWord = new Uint16Array(64);
  for (const vid of allowed) perWord[vid >>> 6] = (perWord[vid >>> 6] ?? 0) + 1;
  let below = 0;
  return perWord.map((count) => {
    below += count;
    return below - count;
  });
}

// ---- forwarding ------------------------------------------------------------------------------------------------------

export interface FdbRecord {
  readonly portId: number;
  readonly isStatic: boolean;
  readonly sticky: boolean;
  /** jiffies >> TICK_SHIFT when last seen as a source */
  readonly tick: number;
}

export function encodeFdbEntry({ portId, isStatic, sticky, tick }: FdbRecord): Uint8Array {
  const bytes = new Uint8Array(at("pw_fdb_entry"));
  const view = viewOf(bytes);
  view.setUint16(at("pw_fdb_entry.port"), portId, true);
  view.setUint16(at("pw_fdb_entry.flags"), (isStatic ? FDB_STATIC : 0) | (sticky ? FDB_STICKY : 0), true);
  view.setUint32(at("pw_fdb_entry.tick"), tick, true);
  return bytes;
}

export function decodeFdbEntry(bytes: Uint8Array, offset = 0): FdbRecord {
  const view = viewOf(bytes);
  const flags = view.getUint16(offset + at("pw_fdb_entry.flags"), true);
  return {
    portId: view.getUint16(offset + at("pw_fdb_entry.port"), true),
    isStatic: (flags & FDB_STATIC) !== 0,
    sticky: (flags & FDB_STICKY) !== 0,
    tick: view.getUint32(offset + at("pw_fdb_entry.tick"), true),
  };
}

/** Port ids of a domain, by the form in which they send. */
export interface FloodRecord {
  readonly untagged: readonly number[];
  readonly tagged: readonly number[];
}

export function encodeFlood({ untagged, tagged }: FloodRecord): Uint8Array {
  const members = [...untagged, ...tagged];
  if (members.length > FLOOD_MAX) throw new RangeError(`a flood list holds ${FLOOD_MAX} ports, not ${members.length}`);
  const bytes = new Uint8Array(at("pw_flood"));
  const view = viewOf(bytes);
  view.setUint16(at("pw_flood.n_untagged"), untagged.length, true);
  view.setUint16(at("pw_flood.n_tagged"), tagged.length, true);
  members.forEach((id, index) => {
    view.setUint16(at("pw_flood.member") + index * 2, id, true);
  });
  return bytes;
}

export function decodeFlood(bytes: Uint8Array, offset = 0): FloodRecord {
  const view = viewOf(bytes);
  const untagged = view.getUint16(offset + at("pw_flood.n_untagged"), true);
  const tagged = view.getUint16(offset + at("pw_flood.n_tagged"), true);
  const members = Array.from({ length: untagged + tagged }, (_, index) =>
    view.getUint16(offset + at("pw_flood.member") + index * 2, true),
  );
  return { untagged: members.slice(0, untagged), tagged: members.slice(untagged) };
}

// ---- counters: sums over the CPUs of one per-CPU value, from `offset` on ---------------------------------------------

export interface Counters {
  readonly rxPackets: bigint;
  readonly rxBytes: bigint;
  readonly txPackets: bigint;
  readonly txBytes: bigint;
}

export function sumCounters(bytes: Uint8Array, cpus: number, offset = 0): Counters {
  const sum = summer(bytes, cpus, "pw_counters", offset);
  return {
    rxPackets: sum(at("pw_counters.rx_packets")),
    rxBytes: sum(at("pw_counters.rx_bytes")),
    txPackets: sum(at("pw_counters.tx_packets")),
    txBytes: sum(at("pw_counters.tx_bytes")),
  };
}

/** Every reason is there, at 0 too. */
export function sumDrops(bytes: Uint8Array, cpus: number, offset = 0): Readonly<Record<DropReason, bigint>> {
  const sum = summer(bytes, cpus, "pw_drops", offset);
  const entries = DROP_REASONS.map((reason, index) => [reason, sum(index * 8)] as const);
  return Object.fromEntries(entries.slice(1)) as Record<DropReason, bigint>;
}

export interface PortStats {
  readonly floodPackets: bigint;
  readonly fdbMoves: bigint;
  readonly fdbLimitHits: bigint;
  readonly fdbFull: bigint;
  readonly eventLost: bigint;
}

export function sumPortStats(bytes: Uint8Array, cpus: number, offset = 0): PortStats {
  const sum = summer(bytes, cpus, "pw_port_stats", offset);
  return {
    floodPackets: sum(at("pw_port_stats.flood_packets")),
    fdbMoves: sum(at("pw_port_stats.fdb_moves")),
    fdbLimitHits: sum(at("pw_port_stats.fdb_limit_hits")),
    fdbFull: sum(at("pw_port_stats.fdb_full")),
    eventLost: sum(at("pw_port_stats.event_lost")),
  };
}

// ---- events, configuration, syscall programs -------------------------------------------------------------------------

const EVENT_TYPES = ["fdb-move", "fdb-full", "fdb-limit", "sticky-move", "fdb-learn"] as const; // from 1

export interface SwitchEvent extends FdbKey {
  readonly type: (typeof EVENT_TYPES)[number];
  readonly portId: number;
  /** 0 where there is none */
  readonly fromPortId: number;
  readonly timeNs: bigint;
}

/** null: an event of a newer program */
export function decodeEvent(bytes: Uint8Array): SwitchEvent | null {
  const view = viewOf(bytes);
  const type = EVENT_TYPES[view.getUint32(at("pw_event.type"), true) - 1];
  if (type === undefined) return null;
  return {
    type,
    portId: view.getUint16(at("pw_event.port"), true),
    fromPortId: view.getUint16(at("pw_event.from"), true),
    ...decodeFdbKey(bytes, at("pw_event.mac_domain")),
    timeNs: view.getBigUint64(at("pw_event.time_ns"), true),
  };
}

export interface SwitchConfig {
  /** most events a second and CPU; 0: none */
  readonly eventRate: number;
  /** report every learned address */
  readonly learnEvents: boolean;
}

export function encodeConfig({ eventRate, learnEvents }: SwitchConfig): Uint8Array {
  const bytes = new Uint8Array(at("pw_config"));
  const view = viewOf(bytes);
  view.setUint32(at("pw_config.abi_version"), ABI_VERSION, true);
  view.setUint32(at("pw_config.event_rate"), eventRate, true);
  view.setUint32(at("pw_config.learn_events"), learnEvents ? 1 : 0, true);
  return bytes;
}

/** Context of the program `clock`. */
export function clockContext(): Uint8Array {
  return new Uint8Array(at("pw_clock"));
}

export function decodeClock(bytes: Uint8Array): { readonly jiffies: bigint; readonly timeNs: bigint } {
  const view = viewOf(bytes);
  return {
    jiffies: view.getBigUint64(at("pw_clock.jiffies"), true),
    timeNs: view.getBigUint64(at("pw_clock.time_ns"), true),
  };
}

/** What the program `fdb_sweep` shall remove: entries for which all of this holds. */
export interface Sweep {
  /** not seen for so many ticks */
  readonly minAge?: number;
  readonly portId?: number;
  /** at every port but portId */
  readonly elsewhere?: boolean;
  readonly domain?: number;
  /** in all domains of a switch; not beside `domain` */
  readonly switchId?: number;
  readonly mac?: string;
  /** static entries too, whatever their age */
  readonly statics?: boolean;
  /** only at ports that were erased */
  readonly gone?: boolean;
  /** only what CPUs remember of entries */
  readonly answers?: boolean;
}

const SWEEP = { static: 1, others: 2, answers: 4, gone: 8 } as const;

export function encodeSweep(sweep: Sweep): Uint8Array {
  const { minAge = 0, portId = 0, domain, switchId, mac } = sweep;
  const bytes = new Uint8Array(at("pw_sweep"));
  const view = viewOf(bytes);
  if (mac !== undefined) view.setBigUint64(at("pw_sweep.mac"), macWord(mac), true);
  view.setUint32(at("pw_sweep.min_age"), minAge, true);
  const [domains, mask] = switchId === undefined ? [domain, 0xffff] : [switchId << 12, 0xf000];
  view.setUint16(at("pw_sweep.domain"), domains ?? 0, true);
  view.setUint16(at("pw_sweep.domain_mask"), domains === undefined ? 0 : mask, true);
  view.setUint16(at("pw_sweep.port"), portId, true);
  const flags =
    (sweep.statics ? SWEEP.static : 0) |
    (sweep.elsewhere ? SWEEP.others : 0) |
    (sweep.answers ? SWEEP.answers : 0) |
    (sweep.gone ? SWEEP.gone : 0);
  view.setUint16(at("pw_sweep.flags"), flags, true);
  return bytes;
}

export function decodeSweep(bytes: Uint8Array): { readonly removed: number; readonly kept: number } {
  return { removed: decodeU32(bytes, at("pw_sweep.removed")), kept: decodeU32(bytes, at("pw_sweep.kept")) };
}

/** Values of per-CPU maps are multiples of 8 bytes, so they lie one after another. */
function summer(bytes: Uint8Array, cpus: number, struct: string, offset: number): (field: number) => bigint {
  const view = viewOf(bytes);
  const stride = at(struct);
  return (field) => {
    let sum = 0n;
    for (let cpu = 0; cpu < cpus; cpu++) sum += view.getBigUint64(offset + cpu * stride + field, true);
    return sum;
  };
}
