/**
 * The VLAN switch in BPF behind the Datapath interface. What is pinned goes on switching while the daemon is away; a
 * daemon that starts finds ports, addresses and counters as they were and writes only what differs.
 */
import { release } from "node:os";
import { KeyedLock } from "../../async/keyed-lock.ts";
import { SharedRuns } from "../../async/shared-runs.ts";
import type { Kernel, Namespace } from "../../kernel/kernel.ts";
import type { PortConfig } from "../../model/port.ts";
import type { ObservedPort } from "../../model/target.ts";
import { VlanSet } from "../../model/vlan-set.ts";
import type { Datapath, DatapathEvent, FdbCount, FdbEntry, MapUse, PortCounters, Rung } from "../datapath.ts";
import { type ClockSample, TickClock } from "./ageing.ts";
import { type Domain, domainOf, type FloodList } from "./flood-lists.ts";
import { chooseHook, type Hook } from "./hook.ts";
import { checkAbi } from "./abi-table.ts";
import { ABI_VERSION, decodeEvent, FLOOD_MAX, MAX_PORTS, SLOTS_MAX, TICK_SHIFT } from "./layout.ts";
import { isOlderThan } from "./kernel-release.ts";
import { pinPaths, type PinPaths } from "./pins.ts";
import { type PortEntry, PortTable } from "./port-table.ts";
import { SwitchMaps } from "./switch-maps.ts";
import { openSwitchObject, removePins, retirePrograms, retireVersions, type SwitchObject } from "./switch-object.ts";

export interface EbpfDatapathOptions {
  readonly kernel: Kernel;
  readonly namespace: Namespace;
  /** directory on a bpffs, ours alone */
  readonly pinRoot: string;
  /** build/bpf/switch.bpf.o */
  readonly objectFile: string;
}

/** Most events a second and CPU. */
const EVENT_RATE = 100;

export class EbpfDatapath implements Datapath {
  readonly rung: Rung;
  readonly #namespace: Namespace;
  readonly #pins: PinPaths;
  readonly #object: SwitchObject;
  readonly #maps: SwitchMaps;
  readonly #hook: Hook;
  readonly #table: PortTable;
  readonly #clock: TickClock;
  /** domains whose list could not be written; the next change takes them along */
  readonly #unwritten = new Set<Domain>();
  /** ports whose program may not hang in its best form yet */
  readonly #unsettled: Set<number>;
  readonly #locks = new KeyedLock<number>();
  readonly #sweeps = new SharedRuns(() => this.#sweepGone());
  #sweepTimer: NodeJS.Timeout | undefined;
  readonly #listeners: ((events: readonly DatapathEvent[]) => void)[] = [];
  #ring: { close(): Promise<void> } | null = null;

  private constructor(
    namespace: Namespace,
    pins: PinPaths,
    object: SwitchObject,
    maps: SwitchMaps,
    hook: Hook,
    rung: Rung,
    table: PortTable,
    clock: ClockSample,
  ) {
    this.#namespace = namespace;
    this.#pins = pins;
    this.#object = object;
    this.#maps = maps;
    this.#hook = hook;
    this.rung = rung;
    this.#table = table;
    this.#unsettled = new Set([...table.entries()].map(({ ifindex }) => ifindex));
    this.#clock = new TickClock(TICK_SHIFT, clock);
  }

  static async open({ kernel, namespace, pinRoot, objectFile }: EbpfDatapathOptions): Promise<EbpfDatapath> {
    checkAbi(kernel.abi);
    const { bpf } = namespace;
    const pins = pinPaths(pinRoot, ABI_VERSION);
    const object = await openSwitchObject(bpf, pins, objectFile, {
      pw_change_type: isOlderThan(release(), 6, 15) ? 1 : 0, // from 6.15 on bpf_redirect_peer does it
    });
    try {
      await retireVersions(bpf, pins);
      const maps = new SwitchMaps(bpf, object, kernel);
      const [found, clock, { hook, rung }] = await Promise.all([
        maps.readPorts(),
        maps.clock(),
        chooseHook(namespace, object.ingress, pins),
        maps.writeConfig({ eventRate: EVENT_RATE, learnEvents: false }),
      ]);
      const limits = { maxPorts: MAX_PORTS, maxSlots: SLOTS_MAX, maxFlood: FLOOD_MAX };
      const self = new EbpfDatapath(namespace, pins, object, maps, hook, rung, new PortTable(limits, found), clock);
      await self.#mend(found);
      self.#ring = await bpf.readRing(object.maps.events, (records) => self.#report(records));
      return self;
    } catch (error) {
      object.close();
      throw error;
    }
  }

  async observe(): Promise<readonly ObservedPort[]> {
    // Nobody but us gives ports ids; what they hold is read from the kernel.
    const ids = [...this.#table.entries()].map(({ portId }) => portId);
    const ports = await this.#maps.readPortsOf(ids);
    const missing = new Set(await this.#hook.missing(ports.map(({ ifindex }) => ifindex)));
    return ports.map((entry) => observed(entry, !missing.has(entry.ifindex)));
  }

  async inspect(ifindex: number): Promise<ObservedPort | null> {
    const known = this.#table.get(ifindex); // nobody but us gives ports ids; what they hold is read from the kernel
    if (!known) return null;
    const [portId, [entry], isAttached] = await Promise.all([
      this.#maps.linkPort(ifindex),
      this.#maps.readPortsOf([known.portId]),
      this.#hook.isAttached(ifindex, this.#unsettled.has(ifindex) ? "new" : "in use"),
    ]);
    return entry?.ifindex === ifindex && portId === known.portId ? observed(entry, isAttached) : null;
  }

  async unhooked(): Promise<readonly number[]> {
    const settled = (): number[] =>
      [...this.#table.entries()].map(({ ifindex }) => ifindex).filter((ifindex) => !this.#locks.isHeld(ifindex));
    const missing = await this.#hook.missing(settled());
    if (missing.length === 0) return missing;
    const still = new Set(settled()); // one that was being removed meanwhile lacks it by intent
    return missing.filter((ifindex) => still.has(ifindex));
  }

  /** A round and an attach may want the same port at the same time: one after the other. */
  setPort(ifindex: number, config: PortConfig): Promise<ObservedPort> {
    return this.#locks.run(ifindex, () => this.#setPort(ifindex, config));
  }

  removePort(ifindex: number): Promise<void> {
    return this.#locks.run(ifindex, () => this.#removePort(ifindex, () => this.#hook.detach(ifindex)));
  }

  forgetPort(ifindex: number): Promise<void> {
    return this.#locks.run(ifindex, () => this.#removePort(ifindex, () => this.#hook.forget(ifindex)));
  }

  async settle(atMost: number): Promise<number> {
    let changed = 0;
    for (const ifindex of [...this.#unsettled]) {
      if (changed >= atMost) break;
      await this.#locks.run(ifindex, async () => {
        this.#unsettled.delete(ifindex);
        if (this.#table.get(ifindex) && (await this.#hook.settle(ifindex))) changed++;
      });
    }
    return this.#unsettled.size;
  }

  async #setPort(ifindex: number, config: PortConfig): Promise<ObservedPort> {
    const { before, after, freshSlots, domains } = this.#table.set(ifindex, config);
    try {
      // Taken when it is written, not before: another port may join while this one waits.
      const writeFloods = (): Promise<void> =>
        this.#maps.writeFloods(this.#floodsOf(new Set([...domains, ...this.#unwritten])));
      if (!before) {
        await Promise.all([
          this.#maps.moveCounts(null, after),
          writeFloods(),
          this.#maps.beginPort(after),
          this.#hook.attach(ifindex, isWorkload(config) ? "new" : "in use"),
        ]);
      } else {
        if (freshSlots) await this.#maps.moveCounts(before, after);
        await Promise.all([this.#maps.writePort(after), writeFloods(), this.#hook.attach(ifindex, "in use")]);
        await this.#forget(before.portId, before.config, config);
        await this.#restrict(before.portId, before.config, config);
      }
      this.#unwritten.clear();
      this.#unsettled.add(ifindex);
    } catch (error) {
      for (const domain of domains) this.#unwritten.add(domain);
      if (!before) await this.#removePort(ifindex, () => this.#hook.detach(ifindex)).catch(() => undefined);
      throw error;
    }
    return { ifindex, portId: after.portId, config, attached: true };
  }

  /** What was learned in VLANs that the port has left would draw frames to it that it must not have (nbp_vlan_delete). */
  async #forget(portId: number, before: PortConfig, after: PortConfig): Promise<void> {
    const stays = before.switchId === after.switchId ? after.allowed : VlanSet.empty;
    const left = before.allowed.difference(stays);
    if (left.count > SWEEPS_AT_ONCE) await this.#maps.sweepFdb({ portId, statics: true });
    else
      for (const vid of left)
        await this.#maps.sweepFdb({ portId, domain: domainOf(before.switchId, vid), statics: true });
  }

  /** What the switch asks of a source or of a way back, it asks before it remembers an answer (bpf/lib/recent.h). */
  async #restrict(portId: number, before: PortConfig, after: PortConfig): Promise<void> {
    if (after.sourceMac !== "" && after.sourceMac !== before.sourceMac) {
      // What others than the one that is left have made the switch learn would draw frames to the port.
      await this.#maps.sweepFdb({ portId });
      await this.#maps.sweepFdb({ answers: true });
    } else if (before.hairpin && !after.hairpin) await this.#maps.sweepFdb({ answers: true });
  }

  async #removePort(ifindex: number, unhook: () => Promise<void>): Promise<void> {
    this.#unsettled.delete(ifindex);
    const removed = this.#table.remove(ifindex);
    if (!removed) return await unhook();
    const { portId } = removed.before;
    await Promise.all([
      this.#maps.forgetLink(ifindex),
      this.#maps.erasePort(portId),
      this.#maps.writeFloods(this.#floodsOf(removed.domains)),
      unhook(),
    ]);
    this.#sweepTimer ??= setTimeout(() => void this.#forgetGone(), SWEEP_AFTER_MS);
  }

  /**
   * What was learned at all ports that were erased so far. Frames for it end at the port that is no more, as they did
   * while it went; nobody waits for a walk through the FDB, which takes a millisecond however many ports it is for.
   */
  async #forgetGone(): Promise<void> {
    this.#sweepTimer = undefined;
    await this.#sweeps.run().catch(() => undefined); // the ids rest until the next one
  }

  async #sweepGone(): Promise<void> {
    const gone = [...this.#table.resting];
    await this.#maps.sweepFdb({ gone: true, statics: true });
    this.#table.rested(gone);
  }

  async forgetElsewhere(ifindex: number, mac: string): Promise<void> {
    const port = this.#table.get(ifindex);
    if (!port) return;
    await this.#maps.sweepFdb({ portId: port.portId, elsewhere: true, switchId: port.config.switchId, mac });
  }

  async counters(): Promise<readonly PortCounters[]> {
    const entries = [...this.#table.entries()];
    const [counts, vlans] = await Promise.all([
      this.#maps.readPortCounts(entries),
      Promise.all(entries.map((entry) => this.#maps.readCounters(entry))),
    ]);
    return counts.map(({ entry: { ifindex, portId }, drops, stats, learned }, i) => ({
      ifindex,
      portId,
      vlans: (vlans[i] ?? []).map(({ vlan, counters }) => ({ vlan, ...counters })),
      drops,
      ...stats,
      learned,
    }));
  }

  async fdb(): Promise<readonly FdbEntry[]> {
    const [records, sample] = await Promise.all([this.#maps.readFdb(), this.#maps.clock()]);
    this.#clock.observe(sample);
    return records.flatMap(({ mac, domain, portId, isStatic, tick }) => {
      const port = this.#table.byId(portId);
      if (!port) return []; // erased, and not forgotten yet
      const age = isStatic ? 0 : this.#clock.age(tick);
      return [{ mac, switchId: domain >>> 12, vlan: domain & 0xfff, ifindex: port.ifindex, isStatic, age }];
    });
  }

  async fdbCounts(): Promise<readonly FdbCount[]> {
    const counts = await this.#maps.countFdb();
    return [...counts].map(([domain, entries]) => ({ switchId: domain >>> 12, vlan: domain & 0xfff, entries }));
  }

  async age(maxAge: number): Promise<number> {
    this.#clock.observe(await this.#maps.clock());
    const { removed } = await this.#maps.sweepFdb({ minAge: this.#clock.ticks(maxAge) });
    return removed;
  }

  async mapUse(): Promise<readonly MapUse[]> {
    const { fdb, ports, counters, flood } = this.#object.maps;
    const entries = [...this.#table.entries()];
    // A sweep for entries older than the clock removes none and counts all, without copying the table out.
    const { kept } = await this.#maps.sweepFdb({ minAge: 0xffffffff });
    const lists = [...this.#table.floods.domains()].filter((domain) => this.#table.floods.has(domain));
    return [
      { map: "fdb", entries: kept, maxEntries: fdb.maxEntries },
      { map: "ports", entries: entries.length, maxEntries: ports.maxEntries - 1 },
      {
        map: "counters",
        entries: entries.reduce((sum, { slots }) => sum + slots.count, 0),
        maxEntries: counters.maxEntries,
      },
      { map: "flood", entries: lists.length, maxEntries: flood.maxEntries },
    ];
  }

  onEvents(listener: (events: readonly DatapathEvent[]) => void): void {
    this.#listeners.push(listener);
  }

  async close(): Promise<void> {
    clearTimeout(this.#sweepTimer);
    if (this.#table.resting.size > 0) await this.#forgetGone();
    await this.#ring?.close();
    this.#ring = null;
    this.#object.close();
  }

  async destroy(): Promise<void> {
    for (const { ifindex } of [...this.#table.entries()]) await this.removePort(ifindex);
    for (const ifindex of await this.#hook.attached()) await this.#hook.detach(ifindex);
    await this.close();
    await removePins(this.#pins);
  }

  /**
   * Makes the maps agree with each other after a stop in the middle of a change: flood lists and addresses follow from
   * the ports, pins of deleted links go, and programs of an older object file are replaced where they hang.
   */
  async #mend(found: readonly PortEntry[]): Promise<void> {
    const [floods, hooked] = await Promise.all([
      this.#maps.readFloods(),
      this.#hook.attached(),
      this.#maps.sweepFdb({ gone: true, statics: true }), // of ports whose ids may be given out again
    ]);
    const wrong = new Map<Domain, FloodList | null>();
    for (const domain of new Set([...floods.keys(), ...this.#table.floods.domains()])) {
      const wanted = this.#table.floods.get(domain);
      if (!sameFlood(wanted, floods.get(domain) ?? null)) wrong.set(domain, wanted);
    }
    if (wrong.size > 0) await this.#maps.writeFloods(wrong);
    const known = new Set(found.map(({ ifindex }) => ifindex));
    for (const ifindex of hooked) if (!known.has(ifindex)) await this.#hook.detach(ifindex);
    if (this.#object.outdated.length > 0) {
      const links = new Set((await this.#namespace.links()).map(({ ifindex }) => ifindex));
      for (const ifindex of known) if (links.has(ifindex)) await this.#hook.attach(ifindex, "in use");
      await retirePrograms(this.#namespace.bpf, this.#pins, this.#object.outdated);
    }
  }

  #floodsOf(domains: Iterable<Domain>): Map<Domain, FloodList | null> {
    return new Map([...domains].map((domain) => [domain, this.#table.floods.get(domain)]));
  }

  #report(records: readonly Uint8Array[]): void {
    const events: DatapathEvent[] = [];
    for (const record of records) {
      const event = decodeEvent(record);
      if (!event) continue;
      events.push({
        type: event.type,
        mac: event.mac,
        switchId: event.domain >>> 12,
        vlan: event.domain & 0xfff,
        ifindex: this.#table.byId(event.portId)?.ifindex ?? 0,
        fromIfindex: this.#table.byId(event.fromPortId)?.ifindex ?? 0,
      });
    }
    if (events.length > 0) for (const listener of this.#listeners) listener(events);
  }
}

/** An erased port's id is not given out again before its addresses are forgotten. */
const SWEEP_AFTER_MS = 1_000;
/** A sweep looks at every address: from so many VLANs on, all of the port's are forgotten in one. */
const SWEEPS_AT_ONCE = 16;

function observed({ ifindex, portId, config }: PortEntry, attached: boolean): ObservedPort {
  return { ifindex, portId, config, attached };
}

function sameFlood(a: FloodList | null, b: FloodList | null): boolean {
  if (!a || !b) return a === b;
  return a.untagged.join() === b.untagged.join() && a.tagged.join() === b.tagged.join();
}

/** The link of a workload was made for its port a moment ago; others were there before. */
function isWorkload({ kind }: PortConfig): boolean {
  return kind === "veth" || kind === "tap";
}
