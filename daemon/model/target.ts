/**
 * Target: what the host should look like, in the kernel's terms. Observed: what it looks like. Both are plain data, so
 * that diff is a function of two values.
 */
import type { Address, Link, LinkData } from "../kernel/kernel.ts";
import type { TargetAddress } from "./addresses.ts";
import type { PortConfig } from "./port.ts";
import { VlanSet } from "./vlan-set.ts";

/** A link that we make and own (recognised by its alias), or a NIC that we only adjust. */
export interface TargetLink {
  readonly name: string;
  /**
   * "nic": exists already, is never created or deleted. "member": a NIC in a bond of ours. "workload": the host's end of a workload's veth, or its tap; the attach path
   * creates it, and a plan deletes it only when no attachment has it. "adopted": was there before us, of whatever kind; never created or deleted.
   * "borrowed": somebody else's, and a workload's port for now (borrowed.ts); never created or deleted.
   */
  readonly kind: "bond" | "bridge" | "vlan" | "veth" | "nic" | "member" | "workload" | "borrowed" | "adopted";
  /** vlan only: name of the link that it is on */
  readonly lower?: string;
  /** member only: name of its bond */
  readonly master?: string;
  /** veth only, and only at the end that the pair is created by; the other end is a link of its own */
  readonly peer?: { readonly name: string; readonly mtu: number; readonly mac: string; readonly noArp: boolean };
  /** workload only: the end in the container. Absent: not to be touched now. `mtu`: what it was given last; 0: unknown */
  readonly containerEnd?: { readonly attachment: string; readonly mtu: number };
  readonly alias: string;
  readonly up: boolean;
  readonly mtu: number;
  /** empty: leave */
  readonly mac: string;
  /** -1: leave */
  readonly txQueueLength: number;
  readonly promiscuous: boolean;
  readonly noArp: boolean;
  readonly data: LinkData;
  readonly clusterNetwork: string;
}

/** Of a link about which nothing special is wanted: MAC and queue stay as they are found. */
export const PLAIN_LINK = { mac: "", txQueueLength: -1, promiscuous: false, noArp: false, data: {} } as const;

/** "host": an interface of the host itself in a VLAN */
export type PortRole = "uplink" | "probe" | "host" | "workload";

export interface TargetPort {
  /** of the link that is the port */
  readonly linkName: string;
  readonly config: PortConfig;
  readonly clusterNetwork: string;
  /** network label; empty for uplinks and probe ports */
  readonly network: string;
  readonly role: PortRole;
  /** attachment id, for workloads */
  readonly owner: string;
}

/** Something wanted that cannot be had as things are; the rest goes on. */
export interface Condition {
  readonly code: string;
  /** "ClusterNetwork/oob", "Network/vlan100", "Attachment/…" */
  readonly object: string;
  readonly message: string;
}

export interface Target {
  readonly links: ReadonlyMap<string, TargetLink>;
  /** by link name */
  readonly ports: ReadonlyMap<string, TargetPort>;
  /** the host's, by name of a link of ours; no other link's addresses are touched */
  readonly addresses: ReadonlyMap<string, readonly TargetAddress[]>;
  readonly conditions: readonly Condition[];
}

export interface ObservedPort {
  readonly ifindex: number;
  /** dense port id of the datapath */
  readonly portId: number;
  readonly config: PortConfig;
  /** the program really hangs on the link */
  readonly attached: boolean;
}

export interface Observed {
  readonly links: readonly Link[];
  readonly addresses: readonly Address[];
  readonly ports: readonly ObservedPort[];
}

/**
 * Aliases of ours start so; nothing without it is ever changed or removed (a NIC is adjusted, never owned). A link whose
 * maker died before it was named reads as "portwright unnamed" (native/addon/link.h).
 */
const ALIAS_PREFIX = "portwright ";

export function isOurs(link: Pick<Link, "alias">): boolean {
  return link.alias.startsWith(ALIAS_PREFIX);
}
/** It is being made, or its maker died over it. */
export function isUnnamed(link: Pick<Link, "alias">): boolean {
  return link.alias === `${ALIAS_PREFIX}unnamed`;
}
/** The switch id lives in the bridge's alias: the kernel keeps it over a restart of the daemon. */
export function bridgeAlias(clusterNetwork: string, switchId: number): string {
  return `${ALIAS_PREFIX}bridge ${clusterNetwork} switch ${switchId}`;
}
export function bondAlias(clusterNetwork: string): string {
  return `${ALIAS_PREFIX}bond ${clusterNetwork}`;
}
/** What an alias of ours says. */
export function parseAlias(
  alias: string,
): { readonly clusterNetwork: string; readonly network: string; readonly switchId: number | null } | null {
  const match =
    /^portwright (?:bridge (\S+) switch (\d+)|(?:probe|bond) (\S+)|host (\S+) \d+|port (\S+) (\S+) .*)$/.exec(alias);
  if (match === null) return parseAdopted(alias);
  const switchId = match[2] === undefined ? null : Number(match[2]);
  const clusterNetwork = match[1] ?? match[3] ?? match[4] ?? match[5] ?? "";
  return { clusterNetwork, network: match[6] ?? "", switchId };
}
/** Of both ends of the veth by which the host has an interface in a VLAN. */
export function hostAlias(clusterNetwork: string, vlan: number): string {
  return `${ALIAS_PREFIX}host ${clusterNetwork} ${vlan}`;
}
export function isHostAlias(alias: string): boolean {
  return alias.startsWith(`${ALIAS_PREFIX}host `);
}
export function probeAlias(clusterNetwork: string): string {
  return `${ALIAS_PREFIX}probe ${clusterNetwork}`;
}
export function isWorkloadLink(link: Pick<Link, "alias">): boolean {
  return link.alias.startsWith(`${ALIAS_PREFIX}port `);
}
export function attachmentAlias(clusterNetwork: string, network: string, attachmentId: string): string {
  return `${ALIAS_PREFIX}port ${clusterNetwork} ${network} ${attachmentId}`.slice(0, 255);
}

/** What we took over starts so. It is not ours: nothing that is done to links of ours is done to it. */
const ADOPTED_PREFIX = "portwright-adopted ";

export interface AdoptedAlias {
  readonly kind: "bridge" | "bond" | "vlan";
  readonly clusterNetwork: string;
  readonly network: string;
  /** bridge only */
  readonly switchId: number | null;
  /** bridge only: VLAN entries that its uplink had before us */
  readonly kept: VlanSet;
  /** its own alias, to be given back */
  readonly was: string;
}

export function isAdopted(link: Pick<Link, "alias">): boolean {
  return link.alias.startsWith(ADOPTED_PREFIX);
}

export function adoptedAlias({ kind, clusterNetwork, switchId, kept, was }: Omit<AdoptedAlias, "network">): string {
  const bridge = switchId === null ? "" : ` switch ${switchId} kept ${kept.isEmpty ? "-" : kept}`;
  return `${ADOPTED_PREFIX}${kind} ${clusterNetwork}${bridge}${was === "" ? "" : ` was ${was}`}`;
}

export function parseAdopted(alias: string): AdoptedAlias | null {
  const match = /^portwright-adopted (bridge|bond|vlan) (\S+)(?: switch (\d+) kept (\S+))?(?: was (.*))?$/s.exec(alias);
  if (match === null) return null;
  const [, kind, clusterNetwork = "", switchId, kept = "-", was = ""] = match;
  return {
    kind: kind as AdoptedAlias["kind"],
    ...{ clusterNetwork, network: "", was },
    switchId: switchId === undefined ? null : Number(switchId),
    kept: kept === "-" ? VlanSet.empty : VlanSet.parse(kept),
  };
}
