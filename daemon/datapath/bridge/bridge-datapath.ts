/**
 * The kernel's bridge with VLAN filtering behind the Datapath interface: for hosts without BPF, and for cluster networks
 * whose bridge has to stay what it is. A port is a link that is in the bridge of its switch; its VLANs are the bridge's
 * entries. All of it is read from the kernel each time, so a restart of the daemon finds everything as it was.
 */
import { KeyedLock } from "../../async/keyed-lock.ts";
import { PortwrightError } from "../../errors.ts";
import { isKernelError } from "../../kernel/kernel-error.ts";
import type { BridgeVlan, Link, Namespace } from "../../kernel/kernel.ts";
import { isFiltering } from "../../links/bridge.ts";
import { isBorrowed } from "../../model/borrowed.ts";
import { groupBy } from "../../model/group-by.ts";
import { type PortConfig, samePort } from "../../model/port.ts";
import { isAdopted, isOurs, type ObservedPort } from "../../model/target.ts";
import type { Datapath, FdbCount, FdbEntry, MapUse, PortCounters, Rung } from "../datapath.ts";
import { isLocked, NO_VLANS, observedIn, portSettings, switchOf, unsupported } from "./bridge-port.ts";
import { BridgeFdb, countByDomain } from "./bridge-fdb.ts";
import { portCounters } from "./counters.ts";
import { entryChange, membershipOf } from "./vlan-entries.ts";

export class BridgeDatapath implements Datapath {
  readonly rung: Rung;
  readonly #namespace: Namespace;
  readonly #fdb: BridgeFdb;
  readonly #locks = new KeyedLock<number>();
  /** bridge of a switch, as it was last; looked at again before it is used */
  readonly #bridges = new Map<number, number>();
  /** what ports were set to, or found as: drift is told from it within a second */
  readonly #known = new Map<number, PortConfig>();
  /** ports removed so far */
  #removals = 0;

  /** `reason`: why no better rung */
  constructor(namespace: Namespace, reason: string) {
    this.#namespace = namespace;
    this.#fdb = new BridgeFdb(namespace);
    this.rung = { name: "bridge", reason };
  }

  async observe(links: Promise<readonly Link[]>): Promise<readonly ObservedPort[]> {
    const removals = this.#removals;
    const ports = await this.#portsOf(await links);
    // What was removed meanwhile must not come back as known.
    if (removals === this.#removals) {
      for (const { ifindex, config } of ports) if (!this.#known.has(ifindex)) this.#known.set(ifindex, config);
    }
    return ports;
  }

  async inspect(ifindex: number): Promise<ObservedPort | null> {
    const link = await this.#namespace.link({ ifindex });
    const switchId = link && (await this.#switchOfPort(link));
    if (link === null || switchId === null) return null;
    const entries = await this.#entriesOf(ifindex);
    if (link.kind === "bridge" && entries.length === 0) return null;
    const bridge = link.kind === "bridge" ? link : await this.#namespace.link({ ifindex: link.master });
    const ports = isLocked(link) ? [{ ifindex, vlans: membershipOf(entries).allowed }] : [];
    const sources = await this.#fdb.sources(ports);
    return bridge && observedIn(bridge, link, switchId, entries, sources.get(ifindex) ?? "");
  }

  /** Ports that are not in their bridge, or not as they were set. */
  async unhooked(): Promise<readonly number[]> {
    const before = [...this.#known.keys()];
    if (before.length === 0) return [];
    const links = await this.#namespace.links();
    const there = new Set(links.map(({ ifindex }) => ifindex));
    for (const ifindex of before) if (!there.has(ifindex)) this.#known.delete(ifindex);
    // Addresses are many, and looked at by rounds.
    const held = new Map([...this.#known].map(([ifindex, { sourceMac }]) => [ifindex, sourceMac]));
    const found = new Map((await this.#portsOf(links, held)).map((port) => [port.ifindex, port]));
    return before.filter((ifindex) => {
      const known = this.#known.get(ifindex);
      if (known === undefined || this.#locks.isHeld(ifindex)) return false;
      const port = found.get(ifindex);
      return port === undefined || !port.attached || !samePort(port.config, known);
    });
  }

  /** A round and an attach may want the same port at the same time: one after the other. */
  setPort(ifindex: number, config: PortConfig): Promise<ObservedPort> {
    return this.#locks.run(ifindex, () => this.#setPort(ifindex, config));
  }

  /** The kernel's bridge has one form only. */
  settle(): Promise<number> {
    return Promise.resolve(0);
  }

  removePort(ifindex: number): Promise<void> {
    return this.#locks.run(ifindex, () => this.#removePort(ifindex));
  }

  /** What the kernel knew of it went with the link. */
  forgetPort(ifindex: number): Promise<void> {
    return this.#locks.run(ifindex, async () => this.#forgetPort(ifindex));
  }

  async forgetElsewhere(ifindex: number, mac: string): Promise<void> {
    const links = await this.#namespace.links();
    const bridge = links.find((link) => link.ifindex === ifindex)?.master ?? 0;
    if (bridge === 0) return;
    const others = links.filter((link) => link.master === bridge && link.ifindex !== ifindex);
    await this.#fdb.forget(mac, new Set(others.map((link) => link.ifindex)));
  }

  async counters(): Promise<readonly PortCounters[]> {
    const links = await this.#namespace.links();
    const ports = await this.#portsOf(links);
    if (ports.length === 0) return [];
    const [stats, entries] = await Promise.all([this.#namespace.bridgeVlanStats(), this.#fdb.read(links)]);
    return portCounters({ ports, links, stats, entries });
  }

  async fdb(): Promise<readonly FdbEntry[]> {
    return await this.#fdb.read(await this.#namespace.links());
  }

  async fdbCounts(): Promise<readonly FdbCount[]> {
    return countByDomain(await this.fdb());
  }

  /** The kernel ages them itself, after 300 s unless somebody set another ageing_time. */
  age(): Promise<number> {
    return Promise.resolve(0);
  }

  mapUse(): Promise<readonly MapUse[]> {
    return Promise.resolve([]);
  }

  /** The kernel tells of every address that is learned, by a message each; of a flood of them nobody could keep up with it. */
  onEvents(): void {
    return undefined;
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  async destroy(): Promise<void> {
    for (const { ifindex } of await this.#portsOf(await this.#namespace.links())) await this.removePort(ifindex);
  }

  async #setPort(ifindex: number, config: PortConfig): Promise<ObservedPort> {
    const bridge = await this.#bridgeOf(config.switchId);
    let link = await this.#linkOf(ifindex);
    const refused = unsupported(config, link);
    if (refused.length > 0) {
      throw new PortwrightError(
        "PORT_UNSUPPORTED",
        `the kernel's bridge cannot have ${link.name} so: ${refused.join(", ")}`,
      );
    }
    const wasLocked = isLocked(link);
    const isPlain = !isFiltering(bridge);
    if (isPlain && !samePort(config, { ...config, ...NO_VLANS })) {
      const message = `${bridge.name} does not filter VLANs, and ${link.name} wants some`;
      throw new PortwrightError("BRIDGE_UNFILTERED", message);
    }
    if (isPlain && config.sourceMac !== "")
      throw new PortwrightError(
        "PORT_UNSUPPORTED",
        `${bridge.name} does not filter VLANs: ${link.name} takes any source`,
      );
    const isNew = ifindex !== bridge.ifindex && link.master !== bridge.ifindex;
    const isBare = isNew && bridge.data["vlanDefaultPvid"] === 0;
    // Where the bridge gives every port a VLAN, the port is not up before that is taken from it.
    const isBornTagged = isNew && !isPlain && !isBare;
    if (isNew) {
      if (isBornTagged) await this.#namespace.changeLink({ ifindex }, { up: false });
      await this.#enslave(link, bridge);
      link = await this.#linkOf(ifindex);
    }
    if (config.sourceMac !== "" && link.memberData["locked"] === undefined)
      throw new PortwrightError("PORT_UNSUPPORTED", `this kernel (before 5.16) holds no port to ${config.sourceMac}`);
    const settings = isAdopted(bridge) && !isOurs(link) && !isBorrowed(link) ? null : portSettings(config, link);
    if (settings !== null) await this.#namespace.changeLink({ ifindex }, settings);
    if (isPlain) {
      this.#known.set(ifindex, config);
      return { ifindex, portId: Number(link.memberData["number"] ?? 0), config, attached: true };
    }
    // Last: a port without entries passes no frame, and is born without where there is no default PVID.
    const { remove, set } = entryChange(config, membershipOf(isBare ? [] : await this.#entriesOf(ifindex)));
    const { sourceMac, allowed } = config;
    if (wasLocked || sourceMac !== "") await this.#fdb.release(ifindex, sourceMac, allowed);
    if (remove.length > 0) await this.#namespace.removeBridgeVlans(ifindex, remove);
    if (set.length > 0) await this.#namespace.setBridgeVlans(ifindex, set);
    if (sourceMac !== "") await this.#fdb.hold(ifindex, sourceMac, allowed);
    if (isBornTagged) await this.#namespace.changeLink({ ifindex }, { up: true });
    this.#known.set(ifindex, config);
    return { ifindex, portId: Number(link.memberData["number"] ?? 0), config, attached: true };
  }

  #forgetPort(ifindex: number): void {
    this.#removals++;
    this.#known.delete(ifindex);
  }

  async #removePort(ifindex: number): Promise<void> {
    this.#forgetPort(ifindex);
    const link = await this.#namespace.link({ ifindex });
    if (link === null || (await this.#switchOfPort(link)) === null) return;
    const master = link.master === 0 ? null : await this.#namespace.link({ ifindex: link.master });
    if (!isOurs(link) && !isBorrowed(link) && (isAdopted(link) || (master !== null && isAdopted(master)))) return;
    if (link.kind !== "bridge") return await this.#namespace.changeLink({ ifindex }, { master: 0 });
    const { remove } = entryChange(membershipOf([]), membershipOf(await this.#entriesOf(ifindex)));
    if (remove.length > 0) await this.#namespace.removeBridgeVlans(ifindex, remove);
  }

  async #enslave({ ifindex, name }: Link, bridge: Link): Promise<void> {
    try {
      await this.#namespace.changeLink({ ifindex }, { master: bridge.ifindex });
    } catch (error) {
      if (!isKernelError(error, "EXFULL")) throw error; // BR_MAX_PORTS, net/bridge/br_private.h
      throw new PortwrightError("PORTS_EXHAUSTED", `${bridge.name} has no room for ${name}`, { cause: error });
    }
  }

  /** ENODEV as a kernel's answer: the link may have gone a moment ago. */
  async #linkOf(ifindex: number): Promise<Link> {
    const link = await this.#namespace.link({ ifindex });
    if (link === null) throw new PortwrightError("CHECK_FAILED", `the link ${ifindex} is gone`);
    return link;
  }

  /** The bridge that says so itself, and filters: else the port would be in all VLANs at once. */
  async #bridgeOf(switchId: number): Promise<Link> {
    const known = this.#bridges.get(switchId);
    let bridge = known === undefined ? null : await this.#namespace.link({ ifindex: known });
    if (bridge === null || switchOf(bridge) !== switchId) {
      bridge = (await this.#namespace.links()).find((link) => switchOf(link) === switchId) ?? null;
    }
    if (bridge === null) throw new PortwrightError("BRIDGE_UNKNOWN", `no bridge of switch ${switchId} is there`);
    if (!isFiltering(bridge) && !isAdopted(bridge))
      throw new PortwrightError("BRIDGE_UNFILTERED", `${bridge.name} does not filter VLANs`);
    this.#bridges.set(switchId, bridge.ifindex);
    return bridge;
  }

  async #switchOfPort(link: Link): Promise<number | null> {
    if (link.kind === "bridge") return switchOf(link);
    const master = link.master === 0 ? null : await this.#namespace.link({ ifindex: link.master });
    return master === null ? null : switchOf(master);
  }

  /** Links that are in bridges of ours, and bridges of ours that are in VLANs themselves. */
  async #portsOf(
    links: readonly Link[],
    held: ReadonlyMap<number, string> | null = null,
  ): Promise<readonly ObservedPort[]> {
    const switches = new Map(links.flatMap((link) => optional(link.ifindex, switchOf(link))));
    const byIndex = new Map(links.map((link) => [link.ifindex, link]));
    const members = links.filter((link) => switches.has(link.master) || switches.has(link.ifindex));
    const mayHaveEntries = members.some((link) => link.master !== 0 || isFiltering(link));
    if (!mayHaveEntries) return [];
    const entries = groupBy(await this.#namespace.bridgeVlans(), ({ ifindex }) => ifindex);
    const locked = members.filter(isLocked).map(({ ifindex }) => ({
      ifindex,
      vlans: membershipOf(entries.get(ifindex) ?? []).allowed,
    }));
    const sources = held ?? (await this.#fdb.sources(locked));
    return members.flatMap((link): ObservedPort[] => {
      const own = entries.get(link.ifindex) ?? [];
      const switchId = switches.get(link.kind === "bridge" ? link.ifindex : link.master);
      if (switchId === undefined || (link.kind === "bridge" && own.length === 0)) return [];
      const bridge = link.kind === "bridge" ? link : byIndex.get(link.master);
      const port =
        bridge && observedIn(bridge, link, switchId, own, isLocked(link) ? (sources.get(link.ifindex) ?? "") : "");
      return port ? [port] : [];
    });
  }

  async #entriesOf(ifindex: number): Promise<readonly BridgeVlan[]> {
    return await this.#namespace.bridgeVlans(ifindex);
  }
}

function optional(ifindex: number, switchId: number | null): readonly (readonly [number, number])[] {
  return switchId === null ? [] : [[ifindex, switchId]];
}
