/**
 * Every option of a bond in one table: names, values, in which modes, and what it takes to change it. Schema, checks,
 * wanted attributes, diff and words are all made of it. Facts of drivers/net/bonding/bond_options.c (BOND_OPTFLAG_*,
 * unsuppmodes) and Documentation/networking/bonding.rst. Pure.
 */
import type { LinkData } from "../kernel/kernel.ts";

/** By number, as uapi/linux/if_bonding.h has them. */
export const bondModes = [
  "balance-rr",
  "active-backup",
  "balance-xor",
  "broadcast",
  "802.3ad",
  "balance-tlb",
  "balance-alb",
] as const;
export type BondMode = (typeof bondModes)[number];

/**
 * What the kernel wants of a bond before it changes the option: nothing; that it is down (BOND_OPTFLAG_IFDOWN); that it
 * has no members (BOND_OPTFLAG_NOSLAVES), and for the mode down as well.
 */
export type BondNeed = "nothing" | "down" | "empty";

type Values =
  | { readonly kind: "choice"; readonly choices: readonly string[]; readonly default: number }
  | {
      readonly kind: "number";
      readonly min: number;
      readonly max: number;
      readonly default: number;
      readonly unit: string;
    }
  | { readonly kind: "switch"; readonly default: boolean }
  | { readonly kind: "addresses"; readonly family: 4 | 6; readonly default: "" }
  | { readonly kind: "mac"; readonly default: "00:00:00:00:00:00" };

export interface BondOption {
  /** in intent */
  readonly name: string;
  /** in LinkData; of the kernel's netlink attribute */
  readonly attribute: string;
  readonly values: Values;
  /** where it has an effect; the kernel refuses some of the others, and passes over the rest in silence */
  readonly modes: readonly BondMode[];
  /** which way of watching members it belongs to; absent: either */
  readonly monitor?: "mii" | "arp";
  readonly need: BondNeed;
  /** first kernel that has it, if later than 5.17 */
  readonly since?: string;
  readonly meaning: string;
}

const INT_MAX = 2147483647;
const USHRT_MAX = 65535;
/** BOND_MAX_ARP_TARGETS and BOND_MAX_NS_TARGETS, include/net/bonding.h */
export const MAX_TARGETS = 16;
export const DEFAULT_MIIMON = 100;

const all = bondModes;
const lacp = ["802.3ad"] as const;
const withPrimary = ["active-backup", "balance-tlb", "balance-alb"] as const;
const withArp = ["balance-rr", "active-backup", "balance-xor", "broadcast"] as const;

const choice = (choices: readonly string[]): Values => ({ kind: "choice", choices, default: 0 });
const number = (min: number, max: number, fallback: number, unit = ""): Values => {
  return { kind: "number", min, max, default: fallback, unit };
};
const onOff = (fallback: boolean): Values => ({ kind: "switch", default: fallback });

/** Without mode, which decides what the others mean, and primary, which names a NIC. */
export const bondOptions: readonly BondOption[] = [
  row("miimon", number(0, INT_MAX, 0, "ms"), all, "time between looks at the members' carrier; 0: no looks"),
  {
    ...row("updelay", number(0, INT_MAX, 0, "ms"), all, "how long a carrier must be there to count"),
    monitor: "mii",
  },
  {
    ...row("downdelay", number(0, INT_MAX, 0, "ms"), all, "how long a carrier must be gone to count"),
    monitor: "mii",
  },
  {
    // 300 s since 6.4; before, larger delays overflowed.
    ...row("peerNotifDelay", number(0, 300_000, 0, "ms"), all, "time between announcements after a change of member"),
    monitor: "mii",
  },
  {
    ...row("useCarrier", onOff(true), all, "ask the driver's carrier, not its MII registers; fixed from 6.18 on"),
    monitor: "mii",
  },
  row(
    "arpInterval",
    number(0, INT_MAX, 0, "ms"),
    withArp,
    "time between ARP requests that watch members; excludes miimon",
  ),
  {
    ...row("arpIpTargets", { kind: "addresses", family: 4, default: "" }, withArp, "whom to ask, at most 16"),
    attribute: "arpIpTarget",
    monitor: "arp",
  },
  {
    ...row("nsIp6Targets", { kind: "addresses", family: 6, default: "" }, withArp, "whom to ask by IPv6, at most 16"),
    attribute: "nsIp6Target",
    monitor: "arp",
    since: "5.19",
  },
  {
    ...row(
      "arpValidate",
      choice(["none", "active", "backup", "all", "filter", "filter_active", "filter_backup"]),
      withArp,
      "which members must see proper answers",
    ),
    monitor: "arp",
  },
  {
    ...row("arpAllTargets", choice(["any", "all"]), withArp, "how many targets must answer"),
    monitor: "arp",
  },
  {
    ...row("arpMissedMax", number(1, 255, 2), withArp, "intervals without an answer before a member counts as down"),
    attribute: "missedMax",
    monitor: "arp",
  },
  row("primaryReselect", choice(["always", "better", "failure"]), withPrimary, "when the primary takes over again"),
  {
    ...row("failOverMac", choice(["none", "active", "follow"]), ["active-backup"], "whose MAC address the bond has"),
    need: "empty",
  },
  row(
    "xmitHashPolicy",
    choice(["layer2", "layer3+4", "layer2+3", "encap2+3", "encap3+4", "vlan+srcmac"]),
    ["balance-xor", "802.3ad", "balance-tlb", "balance-alb"],
    "what a flow is, for the choice of a member",
  ),
  row("resendIgmp", number(0, 255, 1), all, "IGMP reports after a change of member"),
  row("numPeerNotif", number(0, 255, 1), all, "announcements (ARP and ND) after a change of member"),
  row("allSlavesActive", choice(["off", "on"]), all, "take frames that come in on idle members, too"),
  row("minLinks", number(0, INT_MAX, 0), lacp, "members that must work for the bond to have a carrier"),
  row(
    "lpInterval",
    number(1, INT_MAX, 1, "s"),
    ["balance-tlb", "balance-alb"],
    "time between learning frames to the members' switches",
  ),
  row(
    "packetsPerSlave",
    number(0, USHRT_MAX, 1),
    ["balance-rr"],
    "frames to one member before the next one's turn; 0: by chance",
  ),
  {
    ...row("lacpRate", choice(["slow", "fast"]), lacp, "how often the partner shall speak: 30 s or 1 s"),
    need: "down",
  },
  { ...row("lacpActive", onOff(true), lacp, "speak LACP first"), need: "down" },
  { ...row("adSelect", choice(["stable", "bandwidth", "count"]), lacp, "which aggregator is used"), need: "down" },
  row("adActorSysPrio", number(1, USHRT_MAX, USHRT_MAX), lacp, "priority of this system in LACP"),
  { ...row("adUserPortKey", number(0, 1023, 0), lacp, "upper bits of the port key in LACP"), need: "down" },
  row("adActorSystem", { kind: "mac", default: "00:00:00:00:00:00" }, lacp, "MAC address of this system in LACP"),
  {
    ...row("tlbDynamicLb", onOff(true), ["balance-tlb", "balance-alb"], "move flows between members by load"),
    need: "down",
  },
  { ...row("coupledControl", onOff(true), lacp, "collect and distribute as one"), need: "down", since: "6.9" },
  { ...row("broadcastNeighbor", onOff(false), lacp, "send ARP and ND by every member"), since: "6.17" },
];

/** Other names that the kernel or its users have for one of them. */
export const bondOptionAliases: Readonly<Record<string, string>> = {
  numGratArp: "numPeerNotif",
  numUnsolNa: "numPeerNotif",
};

function row(name: string, values: Values, modes: readonly BondMode[], meaning: string): BondOption {
  return { name, attribute: name, values, modes, need: "nothing", meaning };
}

const byAttribute = new Map(bondOptions.map((option) => [option.attribute, option]));

export function bondOptionOf(attribute: string): BondOption | undefined {
  return byAttribute.get(attribute);
}

/** What the kernel leaves out of its report while it has its default. */
export const ABSENT_BOND_DATA: LinkData = { primary: 0, arpIpTarget: "", nsIp6Target: "" };

export function hasPrimary(mode: BondMode): boolean {
  return (withPrimary as readonly BondMode[]).includes(mode);
}

export function needOf(attribute: string): BondNeed {
  return attribute === "mode" ? "empty" : (byAttribute.get(attribute)?.need ?? "nothing");
}

/**
 * All that a bond of this mode shall have, by attribute: what was given, and the kernel's default for the rest, so that
 * an option that leaves the intent leaves the bond. What the kernel would refuse in this mode is not in it.
 */
export function bondData(mode: BondMode, given: LinkData): LinkData {
  const data: Record<string, LinkData[string]> = { mode: bondModes.indexOf(mode), ...given };
  const arp = Number(given["arpInterval"] ?? 0) > 0;
  data["miimon"] ??= arp ? 0 : DEFAULT_MIIMON;
  for (const option of bondOptions) {
    if (option.modes.includes(mode)) data[option.attribute] ??= option.values.default;
    else delete data[option.attribute];
  }
  // The delays are counted in miimons: without one, setting them is EPERM.
  if (data["miimon"] === 0) for (const delay of DELAYS) delete data[delay];
  return data;
}

/** Kept by the kernel as a number of miimons: another miimon changes them, too. */
export const DELAYS = ["updelay", "downdelay", "peerNotifDelay"] as const;

/** "802.3ad" for 4, and so on. */
export function bondWord(attribute: string, value: LinkData[string]): string {
  if (attribute === "mode") return bondModes[Number(value)] ?? String(value);
  const values = byAttribute.get(attribute)?.values;
  if (values?.kind === "choice") return values.choices[Number(value)] ?? String(value);
  if (values?.kind === "switch") return Number(value) === 0 ? "off" : "on";
  if (values?.kind === "number" && values.unit !== "") return `${value} ${values.unit}`;
  return String(value) === "" ? "none" : String(value);
}
