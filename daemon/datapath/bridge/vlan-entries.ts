/** VLAN filter entries of a port, wanted against found, as the ranges that are written. Pure. */
import type { BridgeVlan } from "../../kernel/kernel.ts";
import type { PortConfig } from "../../model/port.ts";
import { type VlanRange, VlanSet } from "../../model/vlan-set.ts";

export type Membership = Pick<PortConfig, "pvid" | "allowed" | "untagged">;

export interface EntryRange extends VlanRange {
  readonly pvid: boolean;
  readonly untagged: boolean;
}

export interface EntryChange {
  /** written first: a frame must not pass by an entry of before and one of after */
  readonly remove: readonly VlanRange[];
  readonly set: readonly EntryRange[];
}

export function membershipOf(entries: Iterable<Pick<BridgeVlan, "vid" | "pvid" | "untagged">>): Membership {
  const allowed: number[] = [];
  const untagged: number[] = [];
  let pvid = 0;
  for (const entry of entries) {
    allowed.push(entry.vid);
    if (entry.untagged) untagged.push(entry.vid);
    if (entry.pvid) pvid = entry.vid;
  }
  return { pvid, allowed: VlanSet.from(allowed), untagged: VlanSet.from(untagged) };
}

/** Both empty: the entries are right. */
export function entryChange(wanted: Membership, found: Membership): EntryChange {
  const removed = found.allowed.difference(wanted.allowed);
  const added = wanted.allowed.difference(found.allowed);
  const kept = wanted.allowed.intersection(found.allowed);
  const otherForm = kept
    .intersection(wanted.untagged)
    .difference(found.untagged)
    .union(kept.intersection(found.untagged).difference(wanted.untagged));
  // An entry that is written again without the flag is the PVID no more (__vlan_add_flags, net/bridge/br_vlan.c).
  const pvids = wanted.pvid === found.pvid ? [] : [wanted.pvid, found.pvid].filter((vid) => wanted.allowed.has(vid));
  const written = added.union(otherForm).union(VlanSet.from(pvids));
  const native = wanted.allowed.has(wanted.pvid) ? VlanSet.of(wanted.pvid).intersection(written) : VlanSet.empty;
  const others = written.difference(native);
  return {
    remove: [...removed.ranges()],
    // The PVID last: there is one at most, and the former loses its flag to it.
    set: [
      ...ranges(others.difference(wanted.untagged), false, false),
      ...ranges(others.intersection(wanted.untagged), true, false),
      ...ranges(native, wanted.untagged.has(wanted.pvid), true),
    ],
  };
}

function ranges(vlans: VlanSet, untagged: boolean, pvid: boolean): EntryRange[] {
  return [...vlans.ranges()].map(({ first, last }) => ({ first, last, pvid, untagged }));
}
