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

/** How a port is in a domain: one word, to be compared. */
type Member = "tagged" | "untagged" | "tagged hairpin" | "untagged hairpin";
const HAIRPINS: ReadonlySet<Member> = new Set<Member>(["tagged hairpin", "untagged hairpin"]);
const UNTAGGED: ReadonlySet<Member> = new Set<Member>(["untagged", "untagged hairpin"]);

function memberOf({ untagged, hairpin }: PortConfig, vid: number): Member {
  const form = untagged.has(vid) ? "untagged" : "tagged";
  return hairpin ? `${form} hairpin` : form;
}

export class FloodLists {
  readonly #members = new Map<Domain, Map<number, Member>>();

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
        const members = this.#members.get(domain) ?? new Map<number, Member>();
        const member = memberOf(after, vid);
        if (members.get(portId) === member) continue;
        members.set(portId, member);
        this.#members.set(domain, members);
        changed.add(domain);
      }
    }
    return changed;
  }

  /** A port alone in its domain has nobody to flood to, unless it is a hairpin: no list is needed. */
  has(domain: Domain): boolean {
    const members = this.#members.get(domain);
    return members !== undefined && (members.size > 1 || [...members.values()].some((member) => HAIRPINS.has(member)));
  }

  get(domain: Domain): FloodList | null {
    const members = this.#members.get(domain);
    if (!members || !this.has(domain)) return null;
    const untagged: number[] = [];
    const tagged: number[] = [];
    for (const [portId, member] of members) (UNTAGGED.has(member) ? untagged : tagged).push(portId);
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
