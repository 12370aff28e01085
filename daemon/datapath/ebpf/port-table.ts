/**
 * The switch's ports as the daemon knows them: dense ids, counter slots and flood membership, kept in step with the
 * maps. Every method decides and updates at once, without waiting, so that two callers cannot take the same id; writing
 * to the kernel is the caller's (ebpf-datapath.ts). Pure.
 */
import { PortwrightError } from "../../errors.ts";
import type { PortConfig } from "../../model/port.ts";
import { type Domain, domainOf, FloodLists } from "./flood-lists.ts";
import { type SlotRange, SlotAllocator } from "./slots.ts";

export interface PortLimits {
  /** ids are 1..maxPorts-1 */
  readonly maxPorts: number;
  readonly maxSlots: number;
  readonly maxFlood: number;
}

export interface PortEntry {
  readonly portId: number;
  readonly ifindex: number;
  readonly config: PortConfig;
  readonly slots: SlotRange;
}

export interface PortChange {
  readonly before: PortEntry | null;
  readonly after: PortEntry;
  /** the slots hold another port's old counts: zero them before the entry is written */
  readonly freshSlots: boolean;
  readonly domains: ReadonlySet<Domain>;
}

export class PortTable {
  readonly #limits: PortLimits;
  readonly #byIfindex = new Map<number, PortEntry>();
  readonly #byId = new Map<number, PortEntry>();
  readonly #slots: SlotAllocator;
  readonly #floods = new FloodLists();
  /** ids of removed ports: the FDB may still name them, so they rest until it was swept */
  readonly #resting = new Set<number>();
  #nextId = 1;

  constructor(limits: PortLimits, found: Iterable<PortEntry> = []) {
    this.#limits = limits;
    this.#slots = new SlotAllocator(limits.maxSlots);
    for (const entry of found) {
      this.#remember(entry);
      this.#slots.claim(entry.slots);
      this.#floods.set(entry.portId, null, entry.config);
    }
  }

  set(ifindex: number, config: PortConfig): PortChange {
    const before = this.#byIfindex.get(ifindex) ?? null;
    this.#checkFloodRoom(before?.config ?? null, config);
    const portId = before?.portId ?? this.#freeId();
    const moved = before !== null && !before.config.allowed.equals(config.allowed);
    const freshSlots = before === null || moved;
    let slots: SlotRange;
    if (freshSlots) {
      const range = this.#slots.allocate(config.allowed.count);
      if (!range) {
        throw new PortwrightError(
          "COUNTERS_EXHAUSTED",
          `no room to count ${config.allowed.count} more VLANs of a port`,
        );
      }
      slots = range;
      if (before) this.#slots.release(before.slots);
    } else {
      slots = before.slots;
    }
    const after = { portId, ifindex, config, slots };
    const domains = this.#floods.set(portId, before?.config ?? null, config);
    this.#remember(after);
    return { before, after, freshSlots, domains };
  }

  /** null if there is no such port. The id rests until `rested` is told. */
  remove(ifindex: number): { readonly before: PortEntry; readonly domains: ReadonlySet<Domain> } | null {
    const before = this.#byIfindex.get(ifindex);
    if (!before) return null;
    this.#byIfindex.delete(ifindex);
    this.#byId.delete(before.portId);
    this.#slots.release(before.slots);
    this.#resting.add(before.portId);
    return { before, domains: this.#floods.set(before.portId, before.config, null) };
  }

  get(ifindex: number): PortEntry | undefined {
    return this.#byIfindex.get(ifindex);
  }
  byId(portId: number): PortEntry | undefined {
    return this.#byId.get(portId);
  }
  entries(): Iterable<PortEntry> {
    return this.#byIfindex.values();
  }
  get floods(): FloodLists {
    return this.#floods;
  }

  get resting(): ReadonlySet<number> {
    return this.#resting;
  }
  /** the FDB no longer names these ids */
  rested(ids: Iterable<number>): void {
    for (const id of ids) this.#resting.delete(id);
  }

  #remember(entry: PortEntry): void {
    this.#byIfindex.set(entry.ifindex, entry);
    this.#byId.set(entry.portId, entry);
  }

  #freeId(): number {
    const { maxPorts } = this.#limits;
    for (let tried = 1; tried < maxPorts; tried++) {
      const id = this.#nextId;
      this.#nextId = id + 1 < maxPorts ? id + 1 : 1;
      if (!this.#byId.has(id) && !this.#resting.has(id)) return id;
    }
    throw new PortwrightError("PORTS_EXHAUSTED", `all ${maxPorts - 1} ports of this host are in use`);
  }

  #checkFloodRoom(before: PortConfig | null, after: PortConfig): void {
    for (const vid of after.allowed) {
      if (before?.switchId === after.switchId && before.allowed.has(vid)) continue;
      if (this.#floods.size(domainOf(after.switchId, vid)) >= this.#limits.maxFlood) {
        throw new PortwrightError(
          "FLOOD_LIST_FULL",
          `VLAN ${vid} of switch ${after.switchId} has ${this.#limits.maxFlood} ports already`,
        );
      }
    }
  }
}
