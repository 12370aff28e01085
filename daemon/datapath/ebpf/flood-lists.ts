/**
 * Who receives a flooded frame: for every forwarding domain (switch, VLAN) the ports that send it untagged and those
 * that send it tagged. Kept in step with the ports; every change names the domains to write again. Pure.
 */
import type { PortConfig } from "../../model/port.ts";

/** switchId << 12 | vid, as PW_DOMAIN in bpf/abi.h */
export type Domain = number;

export interface FloodList {
  readonly untagged: readonly number[];
  readonly tagged: readonly number[];
}

export function domainOf(switchId: number, vid: number): Domain {
  return (switchId << 12) | vid;
}

export class FloodLists {
  /** members of a domain: port id -> leaves untagged */
  readonly #members = new Map<Domain, Map<number, boolean>>();

  /** returns the domains whose list is different now */
  set(portId: number, before: PortConfig | null, after: PortConfig | null): ReadonlySet<Domain> {
    const changed = new Set<Domain>();
    if (before) {
      for (const vid of before.allowed) {
        if (after && after.switchId === before.switchId && after.allowed.has(vid)) continue;
        const domain = domainOf(before.switchId, vid);
        const members = this.#members.get(domain);
        if (!members?.delete(portId)) continue;
        changed.add(domain);
        if (members.size === 0) this.#members.delete(domain);
      }
    }
    if (after) {
      for (const vid of after.allowed) {
        const domain = domainOf(after.switchId, vid);
        const members = this.#members.get(domain) ?? new Map<number, boolean>();
        const untagged = after.untagged.has(vid);
        if (members.get(portId) === untagged) continue;
        members.set(portId, untagged);
        this.#members.set(domain, members);
        changed.add(domain);
      }
    }
    return changed;
  }

  /** null: a domain of fewer than two ports has nobody to flood to and needs no list */
  get(domain: Domain): FloodList | null {
    const members = this.#members.get(domain);
    if (!members || members.size < 2) return null;
    const untagged: number[] = [];
    const tagged: number[] = [];
    for (const [portId, bare] of members) (bare ? untagged : tagged).push(portId);
    const ascending = (a: number, b: number): number => a - b;
    return { untagged: untagged.toSorted(ascending), tagged: tagged.toSorted(ascending) };
  }

  size(domain: Domain): number {
    return this.#members.get(domain)?.size ?? 0;
  }

  domains(): Iterable<Domain> {
    return this.#members.keys();
  }
}
