/**
 * The bond of a cluster network, and the NICs in it. The bond is ours; its members were there before us. MTU and MAC of
 * members are the bond's: the kernel sets them when it takes a member in, and gives the old ones back when it lets go
 * (bond_enslave, __bond_release_one in drivers/net/bonding/bond_main.c).
 */
import type { Link, LinkCreate, LinkData } from "../kernel/kernel.ts";
import {
  ABSENT_BOND_DATA,
  type BondNeed,
  bondData,
  bondModes,
  bondOptions,
  DELAYS,
  hasPrimary,
  needOf,
} from "../model/bond-options.ts";
import { bondName, type VlanConfig } from "../model/resources.ts";
import { bondAlias, PLAIN_LINK, type TargetLink } from "../model/target.ts";
import { type Comparable, type SettingsChange, sameValue, settingsChange } from "./settings.ts";

/** uapi/linux/if_bonding.h */
const BOND_LINK_UP = 0;
const MODE_8023AD = 4;
/** LACP_STATE_COLLECTING and LACP_STATE_DISTRIBUTING */
const CARRIES = 0x30;

/** `primary`: index of the member; 0: none */
export function bond(vlanConfig: VlanConfig, mtu: number, primary: number): TargetLink {
  const { clusterNetwork, uplink } = vlanConfig;
  return {
    name: bondName(clusterNetwork),
    kind: "bond",
    alias: bondAlias(clusterNetwork),
    up: true,
    mtu,
    mac: uplink.hardwareAddress,
    txQueueLength: uplink.txQueueLength,
    promiscuous: true,
    noArp: false,
    data: hasPrimary(uplink.bond.mode) ? { ...uplink.bond.data, primary } : uplink.bond.data,
    clusterNetwork,
  };
}

export function member(name: string, clusterNetwork: string, mtu: number): TargetLink {
  return {
    name,
    kind: "member",
    master: bondName(clusterNetwork),
    alias: "",
    up: true,
    mtu,
    ...PLAIN_LINK,
    clusterNetwork,
  };
}

export function bondSettings(link: TargetLink): Comparable {
  return {
    up: link.up,
    alias: link.alias,
    mtu: link.mtu,
    promiscuous: link.promiscuous,
    ...(link.mac === "" ? {} : { mac: link.mac }),
    ...(link.txQueueLength < 0 ? {} : { txQueueLength: link.txQueueLength }),
    data: link.data,
  };
}

export function memberSettings(link: TargetLink): Comparable {
  return { up: link.up, mtu: link.mtu };
}

/** Only what differs from what a bond of the mode is born with: an attribute that this kernel lacks is not asked for. */
export function createBond(link: TargetLink): LinkCreate {
  const { data = {}, ...settings } = bondSettings(link);
  const birth: LinkData = { ...bondBirth(Number(data["mode"])), ...ABSENT_BOND_DATA };
  const given = Object.entries(data).filter(([key, value]) => key === "mode" || !sameValue(birth[key], value));
  return { name: link.name, kind: "bond", noIpv6LinkLocal: true, ...settings, data: Object.fromEntries(given) };
}

/** A bond that is made without options; one that has to watch carriers does so from the start. */
export function bondBirth(mode: number): LinkData {
  const defaults = Object.fromEntries(bondOptions.map(({ attribute, values }) => [attribute, values.default]));
  return { ...defaults, mode, miimon: mode >= MODE_8023AD ? 100 : 0 };
}

/** What differs, and with it what the kernel changes on the side. */
export function bondChange(link: TargetLink, observed: Link): SettingsChange | null {
  const change = settingsChange(bondSettings(link), observed, ABSENT_BOND_DATA);
  const wrong = change?.after.data;
  if (change === null || wrong === undefined) return change;
  // Another mode resets monitoring; another miimon stretches the delays, which the kernel counts in miimons.
  const along = "mode" in wrong ? Object.keys(link.data) : "miimon" in wrong ? DELAYS : [];
  const found: LinkData = { ...ABSENT_BOND_DATA, ...observed.data };
  const keys = new Set([...Object.keys(wrong), ...along]);
  const pick = (from: LinkData): LinkData => Object.fromEntries(Object.entries(from).filter(([key]) => keys.has(key)));
  return {
    // The way back must not name what the old mode refuses.
    before: { ...change.before, data: "mode" in wrong ? settableBondData(found) : pick(settableBondData(found)) },
    after: { ...change.after, data: pick(link.data) },
  };
}

/** What the bond must be for the change. */
export function bondNeed(data: LinkData): BondNeed {
  const needs = new Set(Object.keys(data).map(needOf));
  return needs.has("empty") ? "empty" : needs.has("down") ? "down" : "nothing";
}

/** Of what is reported, what could be set in that mode: as a way back, or to make the bond again. */
export function settableBondData(observed: LinkData): LinkData {
  const mode = bondModes[Number(observed["mode"])] ?? "balance-rr";
  const settable = new Set(Object.keys(bondData(mode, { miimon: observed["miimon"] ?? 0 })));
  if (hasPrimary(mode)) settable.add("primary");
  return Object.fromEntries(Object.entries(observed).filter(([key]) => settable.has(key)));
}

/** Does the NIC carry traffic for the bond, or could it at once? */
export function isWorking(nic: Link, bondLink: Link): boolean {
  return nic.master === bondLink.ifindex && nic.up && nic.carrier && isTrusted(nic, bondLink);
}

/** What its monitor and LACP say of a member that has a carrier. */
export function isTrusted(nic: Link, bondLink: Link): boolean {
  if (Number(nic.memberData["miiStatus"] ?? BOND_LINK_UP) !== BOND_LINK_UP) return false;
  if (bondLink.data["mode"] !== MODE_8023AD) return true;
  return (Number(nic.memberData["adActorPortState"] ?? 0) & CARRIES) === CARRIES;
}
