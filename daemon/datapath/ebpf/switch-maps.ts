/**
 * Reads and writes of the switch's maps in the switch's terms. Every method issues its kernel calls before it first
 * waits, and the namespace's thread runs calls in the order they were made: two changes decided one after the other
 * reach the maps in that order.
 */
import type { Bpf, MapWrite } from "../../kernel/bpf.ts";
import type { Kernel } from "../../kernel/kernel.ts";
import type { ClockSample } from "./ageing.ts";
import { viewOf } from "./abi-table.ts";
import type { Domain, FloodList } from "./flood-lists.ts";
import * as layout from "./layout.ts";
import type { PortEntry } from "./port-table.ts";
import type { SwitchObject } from "./switch-object.ts";

export class SwitchMaps {
  readonly #bpf: Bpf;
  readonly #object: SwitchObject;
  readonly #cpus: number;

  constructor(bpf: Bpf, object: SwitchObject, kernel: Pick<Kernel, "cpus">) {
    this.#bpf = bpf;
    this.#object = object;
    this.#cpus = kernel.cpus;
  }

  async readPorts(): Promise<PortEntry[]> {
    const { keys, values, count } = await this.#bpf.readAll(this.#object.maps.ports);
    const entries: PortEntry[] = [];
    const { valueSize } = this.#object.maps.ports;
    for (let i = 0; i < count; i++) {
      const record = layout.decodePort(values, i * valueSize);
      if (!record) continue;
      entries.push(entryOf(layout.decodeU32(keys, i * 4), record));
    }
    return entries;
  }

  /** Those that are there, of the ids asked for: the whole map is 5 MB. */
  async readPortsOf(portIds: readonly number[]): Promise<PortEntry[]> {
    if (portIds.length === 0) return [];
    const values = await this.#bpf.lookupMany(this.#object.maps.ports, concat(portIds.map(layout.encodeU32)));
    return portIds.flatMap((portId, i) => {
      const bytes = values[i];
      const record = bytes ? layout.decodePort(bytes) : null;
      return record ? [entryOf(portId, record)] : [];
    });
  }

  async writePort(entry: PortEntry): Promise<void> {
    await this.#bpf.updateEach([this.#portWrite(entry)]);
  }

  /** A new port: its counts begin at 0, and its link is named last, since the program finds no port until then. */
  async beginPort(entry: PortEntry): Promise<void> {
    const key = layout.encodeU32(entry.portId);
    const { drops, port_stats: stats, fdb_count: learned, if2port, if2port_high: high } = this.#object.maps;
    await this.#bpf.updateEach([
      { map: drops, key, value: this.#zeros(drops.valueSize) },
      { map: stats, key, value: this.#zeros(stats.valueSize) },
      { map: learned, key, value: layout.encodeU32(0) },
      this.#portWrite(entry),
      { map: isDense(entry.ifindex) ? if2port : high, key: layout.encodeU32(entry.ifindex), value: key },
    ]);
  }

  #portWrite({ portId, ifindex, config, slots }: PortEntry): MapWrite {
    const value = layout.encodePort({ ifindex, slotBase: slots.base, config });
    return { map: this.#object.maps.ports, key: layout.encodeU32(portId), value };
  }

  async erasePort(portId: number): Promise<void> {
    await this.#bpf.update(this.#object.maps.ports, layout.encodeU32(portId), layout.noPort());
  }

  /** the link is no port any more */
  async forgetLink(ifindex: number): Promise<void> {
    const key = layout.encodeU32(ifindex);
    if (isDense(ifindex)) await this.#bpf.update(this.#object.maps.if2port, key, layout.encodeU32(0));
    else await this.#bpf.remove(this.#object.maps.if2port_high, key);
  }

  /** which port a link is; 0: none */
  async linkPort(ifindex: number): Promise<number> {
    const map = isDense(ifindex) ? this.#object.maps.if2port : this.#object.maps.if2port_high;
    const bytes = await this.#bpf.lookup(map, layout.encodeU32(ifindex));
    return bytes ? layout.decodeU32(bytes) : 0;
  }

  async writeFloods(lists: ReadonlyMap<number, FloodList | null>): Promise<void> {
    const { flood } = this.#object.maps;
    const wanted = [...lists].filter((item): item is [number, FloodList] => item[1] !== null);
    const unwanted = [...lists].filter(([, list]) => list === null).map(([domain]) => domain);
    await Promise.all([
      wanted.length > 0 &&
        this.#bpf.updateMany(
          flood,
          concat(wanted.map(([domain]) => layout.encodeU32(domain))),
          concat(wanted.map(([, list]) => layout.encodeFlood(list))),
        ),
      unwanted.length > 0 && this.#bpf.removeMany(flood, concat(unwanted.map(layout.encodeU32))),
    ]);
  }

  /** domain -> list, as the kernel has them */
  async readFloods(): Promise<Map<number, FloodList>> {
    const { keys, values, count } = await this.#bpf.readAll(this.#object.maps.flood);
    const lists = new Map<number, FloodList>();
    const { valueSize } = this.#object.maps.flood;
    for (let i = 0; i < count; i++) lists.set(layout.decodeU32(keys, i * 4), layout.decodeFlood(values, i * valueSize));
    return lists;
  }

  /**
   * Counts of a port whose VLANs changed move to their new slots; VLANs that it had not before start at 0. What is
   * counted between the read and the switch-over to the new slots (microseconds) is lost.
   */
  async moveCounts(before: PortEntry | null, after: PortEntry): Promise<void> {
    const { counters } = this.#object.maps;
    const old = before ? await this.#rawCounters(before) : [];
    const zero = this.#zeros(counters.valueSize);
    const values = [...after.config.allowed].map((vid) => {
      if (!before?.config.allowed.has(vid)) return zero;
      return old[before.config.allowed.rank(vid)] ?? zero;
    });
    if (values.length === 0) return;
    await this.#bpf.updateMany(counters, slotKeys(after), concat(values));
  }

  async readCounters(entry: PortEntry): Promise<{ vlan: number; counters: layout.Counters }[]> {
    const raw = await this.#rawCounters(entry);
    return [...entry.config.allowed].map((vlan, index) => ({
      vlan,
      counters: layout.sumCounters(present(raw[index]), this.#cpus),
    }));
  }

  async readPortCounts(
    entries: readonly PortEntry[],
  ): Promise<
    { entry: PortEntry; drops: ReturnType<typeof layout.sumDrops>; stats: layout.PortStats; learned: number }[]
  > {
    const keys = concat(entries.map(({ portId }) => layout.encodeU32(portId)));
    const { drops, port_stats: stats, fdb_count: learned } = this.#object.maps;
    const [d, s, n] = await Promise.all([
      this.#bpf.lookupMany(drops, keys),
      this.#bpf.lookupMany(stats, keys),
      this.#bpf.lookupMany(learned, keys),
    ]);
    return entries.map((entry, i) => ({
      entry,
      drops: layout.sumDrops(present(d[i]), this.#cpus),
      stats: layout.sumPortStats(present(s[i]), this.#cpus),
      learned: layout.decodeU32(present(n[i])),
    }));
  }

  async readFdb(): Promise<(layout.FdbKey & layout.FdbRecord)[]> {
    const { keys, values, count } = await this.#bpf.readAll(this.#object.maps.fdb);
    return Array.from({ length: count }, (_, i) => ({
      ...layout.decodeFdbKey(keys, i * 8),
      ...layout.decodeFdbEntry(values, i * 8),
    }));
  }

  /** entries by domain, without making an object of each */
  async countFdb(): Promise<Map<Domain, number>> {
    const { keys, count } = await this.#bpf.readAll(this.#object.maps.fdb);
    const counts = new Map<Domain, number>();
    const view = viewOf(keys);
    for (let i = 0; i < count; i++) {
      const domain = view.getUint16(i * 8, true); // as decodeFdbKey reads it
      counts.set(domain, (counts.get(domain) ?? 0) + 1);
    }
    return counts;
  }

  async sweepFdb(sweep: layout.Sweep): Promise<{ removed: number; kept: number }> {
    const run = await this.#bpf.testRun(this.#object.sweep, { context: layout.encodeSweep(sweep) });
    return layout.decodeSweep(run.context);
  }

  async clock(): Promise<ClockSample> {
    const run = await this.#bpf.testRun(this.#object.clock, { context: layout.clockContext() });
    return layout.decodeClock(run.context);
  }

  async writeConfig(config: layout.SwitchConfig): Promise<void> {
    const key = layout.encodeU32(0);
    const value = layout.encodeConfig(config);
    const found = await this.#bpf.lookup(this.#object.maps.config, key);
    if (!found || Buffer.compare(found, value) !== 0) await this.#bpf.update(this.#object.maps.config, key, value);
  }

  async #rawCounters(entry: PortEntry): Promise<readonly (Uint8Array | null)[]> {
    if (entry.slots.count === 0) return [];
    return await this.#bpf.lookupMany(this.#object.maps.counters, slotKeys(entry));
  }

  #zeros(valueSize: number): Uint8Array {
    return new Uint8Array(this.#cpus * Math.ceil(valueSize / 8) * 8);
  }
}

function isDense(ifindex: number): boolean {
  return ifindex < layout.DENSE_IFINDEX;
}

function entryOf(portId: number, { ifindex, slotBase, config }: layout.PortRecord): PortEntry {
  return { portId, ifindex, config, slots: { base: slotBase, count: config.allowed.count } };
}

function slotKeys({ slots }: PortEntry): Uint8Array {
  return concat(Array.from({ length: slots.count }, (_, i) => layout.encodeU32(slots.base + i)));
}

function concat(parts: readonly Uint8Array[]): Uint8Array {
  return Buffer.concat(parts);
}

/** Every index of an array map has a value. */
function present(value: Uint8Array | null | undefined): Uint8Array {
  if (!value) throw new RangeError("an array map has no such index");
  return value;
}
