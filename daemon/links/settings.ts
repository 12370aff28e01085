/** Compares what a link should have with what it has: only what differs is written. Pure. */
import type { Link, LinkData, LinkSettings } from "../kernel/kernel.ts";

/** uapi/linux/if.h. The kernel reports IFF_PROMISC as user space set it, not as the count of all who wanted it. */
const IFF_NOARP = 0x80;
const IFF_PROMISC = 0x100;

/** The settings that the kernel reports back, and that can be compared therefore. */
export type Comparable = Pick<
  LinkSettings,
  "up" | "alias" | "mtu" | "mac" | "txQueueLength" | "promiscuous" | "noArp" | "data"
>;

export interface SettingsChange {
  readonly before: LinkSettings;
  readonly after: LinkSettings;
}

export function observedSettings(link: Link): Required<Comparable> {
  return {
    up: link.up,
    alias: link.alias,
    mtu: link.mtu,
    mac: link.mac,
    txQueueLength: link.txQueueLength,
    promiscuous: (link.flags & IFF_PROMISC) !== 0,
    noArp: (link.flags & IFF_NOARP) !== 0,
    data: link.data,
  };
}

/**
 * null: the link is right. `absent`: what attributes of its kind are worth while the kernel leaves them out of its report.
 */
export function settingsChange(wanted: Comparable, link: Link, absent: LinkData = {}): SettingsChange | null {
  const { data: wantedData, ...flat } = wanted;
  const found = { ...observedSettings(link), data: { ...absent, ...link.data } };
  const before: Record<string, unknown> = {};
  const after: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(flat)) {
    const now = found[key as keyof typeof flat];
    if (value === undefined || value === now) continue;
    before[key] = now;
    after[key] = value;
  }
  // An attribute that this kernel does not report was left out of its build (br_netfilter, IGMP snooping): it cannot be
  // set either, and asking for it at every look would never end.
  const wrong = Object.entries(wantedData ?? {}).filter(
    ([key, value]) => found.data[key] !== undefined && !sameValue(found.data[key], value),
  );
  if (wrong.length > 0) {
    before["data"] = Object.fromEntries(wrong.map(([key]) => [key, found.data[key]]));
    after["data"] = Object.fromEntries(wrong);
  }
  return Object.keys(after).length === 0 ? null : { before, after };
}

/** A switch travels as a number in some attributes and as a flag in others. */
export function sameValue(a: LinkData[string] | undefined, b: LinkData[string]): boolean {
  return typeof b === "string" ? a === b : Number(a) === Number(b);
}
