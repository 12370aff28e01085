/** The addresses that bridges of ours know, as the kernel tells them (RTM_GETNEIGH, AF_BRIDGE). */
import { isKernelError } from "../../kernel/kernel-error.ts";
import type { Link, Namespace, Neighbour } from "../../kernel/kernel.ts";
import { groupBy } from "../../model/group-by.ts";
import { VlanSet } from "../../model/vlan-set.ts";
import type { FdbCount, FdbEntry } from "../datapath.ts";
import { switchOf } from "./bridge-port.ts";

const AF_BRIDGE = 7;
/** uapi/linux/neighbour.h: of a device's own filter, not of its bridge (which sets no flag); given by hand; a port's own */
const NTF_SELF = 0x02;
const NTF_MASTER = 0x04;
/** Linux 4.20: it does not move */
const NTF_STICKY = 0x40;
const NUD_NOARP = 0x40;
const NUD_PERMANENT = 0x80;

export class BridgeFdb {
  readonly #namespace: Pick<Namespace, "neighbours" | "setNeighbour" | "removeNeighbour">;

  constructor(namespace: Pick<Namespace, "neighbours" | "setNeighbour" | "removeNeighbour">) {
    this.#namespace = namespace;
  }

  async read(links: readonly Link[]): Promise<readonly FdbEntry[]> {
    const switches = new Map(links.map((link) => [link.ifindex, switchOf(link)]));
    const ports = new Map(links.flatMap(({ ifindex, master }) => pair(ifindex, switches.get(master))));
    if (ports.size === 0) return [];
    return fdbEntries(await this.#namespace.neighbours(AF_BRIDGE), ports);
  }

  /** What these ports have learned of an address. */
  async forget(mac: string, ports: ReadonlySet<number>): Promise<void> {
    const found = (await this.#namespace.neighbours(AF_BRIDGE)).filter(
      (entry) => entry.mac === mac && ports.has(entry.ifindex) && isLearned(entry),
    );
    for (const entry of found) await this.#remove(entry);
  }

  /** What locked ports are held to, by interface index. */
  async sources(ports: readonly { readonly ifindex: number; readonly vlans: VlanSet }[]): Promise<Map<number, string>> {
    if (ports.length === 0) return new Map();
    const found = groupBy(await this.#namespace.neighbours(AF_BRIDGE), ({ ifindex }) => ifindex);
    return new Map(ports.map(({ ifindex, vlans }) => [ifindex, sourceOf(found.get(ifindex) ?? [], vlans)]));
  }

  /**
   * What stands in the way of `hold`: all that the port knows beside the address in these VLANs; "": what was held.
   * Before the port leaves a VLAN, since no address can be taken out of one that it is not in (br_fdb_delete).
   */
  async release(ifindex: number, mac: string, vlans: VlanSet): Promise<void> {
    for (const entry of await this.#entriesOf(ifindex)) {
      const stays = mac === "" ? !isHolding(entry) : isHeld(entry, mac) && vlans.has(entry.vlan ?? 0);
      if (!stays) await this.#remove(entry);
    }
  }

  /** The address is known at the port in each of the VLANs, which the port is in. */
  async hold(ifindex: number, mac: string, vlans: VlanSet): Promise<void> {
    const found = (await this.#entriesOf(ifindex)).filter((entry) => isHeld(entry, mac));
    for (const vlan of vlans.difference(VlanSet.from(found.map((entry) => entry.vlan ?? 0)))) {
      const place = { ifindex, family: AF_BRIDGE, address: "", mac, vlan };
      await this.#namespace.setNeighbour({ ...place, state: NUD_NOARP, flags: NTF_MASTER | NTF_STICKY });
    }
  }

  async #entriesOf(ifindex: number): Promise<readonly Neighbour[]> {
    return (await this.#namespace.neighbours(AF_BRIDGE, ifindex)).filter(isOfBridge);
  }

  async #remove(entry: Neighbour): Promise<void> {
    try {
      await this.#namespace.removeNeighbour({ ...entry, flags: NTF_MASTER });
    } catch (error) {
      // It aged, or moved, a moment ago; or the port is not in its VLAN any more.
      if (!isKernelError(error, "ENOENT") && !isKernelError(error, "EINVAL")) throw error;
    }
  }
}

/** Not of the device's own filter, and not the device's own address. */
function isOfBridge({ state, flags }: Neighbour): boolean {
  return (flags & NTF_SELF) === 0 && (state & NUD_PERMANENT) === 0;
}

function isLearned(entry: Neighbour): boolean {
  return isOfBridge(entry) && (entry.state & NUD_NOARP) === 0;
}

/** A static one can be moved by any port that sends from it, and the locked port could not take it back. */
function isHolding({ state, flags }: Neighbour): boolean {
  return (state & NUD_NOARP) !== 0 && (flags & NTF_STICKY) !== 0;
}

function isHeld(entry: Neighbour, mac: string): boolean {
  return entry.mac === mac && isHolding(entry);
}

/** "": not one address in all VLANs of the port, or others beside it */
export function sourceOf(entries: readonly Neighbour[], vlans: VlanSet): string {
  const own = entries.filter(isOfBridge);
  const [first] = own;
  if (first === undefined || !own.every((entry) => isHolding(entry) && entry.mac === first.mac)) return "";
  return VlanSet.from(own.map(({ vlan = 0 }) => vlan)).equals(vlans) ? first.mac : "";
}

/** `ports`: switch id by interface index */
export function fdbEntries(neighbours: readonly Neighbour[], ports: ReadonlyMap<number, number>): readonly FdbEntry[] {
  return neighbours.flatMap(({ ifindex, mac, vlan, state, flags, updated = 0 }): FdbEntry[] => {
    const switchId = ports.get(ifindex);
    // Without a VLAN it is the address of a device in the bridge, which no frame is switched by where VLANs are filtered.
    if (switchId === undefined || vlan === undefined || (flags & NTF_SELF) !== 0) return [];
    if ((state & NUD_PERMANENT) !== 0) return [];
    const isStatic = (state & NUD_NOARP) !== 0;
    return [{ mac, switchId, vlan, ifindex, isStatic, age: isStatic ? 0 : updated }];
  });
}

export function countByDomain(entries: readonly FdbEntry[]): readonly FdbCount[] {
  const counts = new Map<string, FdbCount>();
  for (const { switchId, vlan } of entries) {
    const key = `${switchId} ${vlan}`;
    counts.set(key, { switchId, vlan, entries: (counts.get(key)?.entries ?? 0) + 1 });
  }
  return [...counts.values()];
}

function pair(ifindex: number, switchId: number | null | undefined): readonly (readonly [number, number])[] {
  return switchId === null || switchId === undefined ? [] : [[ifindex, switchId]];
}
