/**
 * Bond options that do not go together, found before anything is touched. What the kernel would refuse, what it would
 * round, and what it would pass over in silence: each of these is a mistake of the intent. Pure.
 */
import {
  type BondMode,
  bondOptionAliases,
  bondOptions,
  DEFAULT_MIIMON,
  DELAYS,
  hasPrimary,
  MAX_TARGETS,
} from "./bond-options.ts";
import { formatIp, parseIp } from "./ip.ts";

/** As written, after its shape was checked: choices by name or number, switches as true, 1 or "on". */
export type RawBondOptions = Readonly<Record<string, string | number | boolean | readonly string[]>>;

/** `path`: inside bondOptions */
export type Refuse = (path: readonly (string | number)[], reason: string) => void;

export interface BondSurroundings {
  readonly nics: readonly string[];
  /** empty: none */
  readonly hardwareAddress: string;
}

export function checkBond(mode: BondMode, raw: RawBondOptions, around: BondSurroundings, refuse: Refuse): void {
  const has = (name: string): boolean => raw[name] !== undefined;
  const value = (name: string): number => (typeof raw[name] === "number" ? raw[name] : 0);
  checkAliases(raw, refuse);
  for (const { name, modes } of bondOptions) {
    const used = namesOf(name).find(has);
    if (used !== undefined && !modes.includes(mode)) refuse([used], `is for ${list(modes)}, not for mode ${mode}`);
  }
  checkMonitor(mode, raw, refuse);
  checkTargets(raw, refuse);
  checkPrimary(mode, raw, around.nics, refuse);
  if (value("minLinks") > around.nics.length) {
    refuse(["minLinks"], `is ${value("minLinks")}, but the bond has ${around.nics.length} NICs`);
  }
  const moves = ["active", "follow", 1, 2].includes(raw["failOverMac"] as string | number);
  if (moves && around.hardwareAddress !== "") {
    refuse(
      ["failOverMac"],
      "lets the MAC address of a member be the bond's, so linkAttributes.hardwareAddr cannot be given",
    );
  }
}

function checkAliases(raw: RawBondOptions, refuse: Refuse): void {
  for (const [alias, name] of Object.entries(bondOptionAliases)) {
    if (raw[alias] === undefined) continue;
    const other = namesOf(name).find((n) => n !== alias && raw[n] !== undefined);
    if (other !== undefined) refuse([alias], `is another name of ${other}, which is given as well`);
  }
}

function checkMonitor(mode: BondMode, raw: RawBondOptions, refuse: Refuse): void {
  const given = (name: string): number | undefined => (typeof raw[name] === "number" ? raw[name] : undefined);
  const arp = (given("arpInterval") ?? 0) > 0;
  const asked = given("miimon") ?? -1;
  const miimon = asked >= 0 ? asked : arp ? 0 : DEFAULT_MIIMON;
  if (arp && miimon > 0) refuse(["arpInterval"], `cannot be used together with miimon ${miimon}: set one of them to 0`);
  if (miimon === 0 && ["802.3ad", "balance-tlb", "balance-alb"].includes(mode)) {
    refuse(["miimon"], `must be more than 0 in mode ${mode}, which sees failed members by nothing else`);
  }
  for (const delay of DELAYS) {
    const ms = given(delay) ?? 0;
    if (ms === 0) continue;
    if (miimon === 0) refuse([delay], "needs a miimon of more than 0");
    else if (ms % miimon !== 0) refuse([delay], `must be a multiple of miimon, ${miimon} ms, not ${ms}`);
  }
  if (arp) {
    if (!Array.isArray(raw["arpIpTargets"]) && !Array.isArray(raw["nsIp6Targets"])) {
      refuse(["arpInterval"], "needs arpIpTargets or nsIp6Targets: somebody to ask");
    }
    return;
  }
  for (const { name, monitor } of bondOptions) {
    if (monitor === "arp" && raw[name] !== undefined) refuse([name], "needs an arpInterval of more than 0");
  }
}

function checkTargets(raw: RawBondOptions, refuse: Refuse): void {
  for (const option of bondOptions) {
    const { name, values } = option;
    const targets = raw[name];
    if (values.kind !== "addresses" || !Array.isArray(targets)) continue;
    if (targets.length > MAX_TARGETS)
      refuse([name], `has ${targets.length} addresses; the kernel takes ${MAX_TARGETS}`);
    const seen = new Set<string>();
    (targets as readonly string[]).forEach((text, index) => {
      const ip = parseIp(text);
      if (ip?.family !== values.family || !isStation(ip.family, ip.value)) {
        refuse([name, index], `must be the IPv${values.family} address of one host, not ${JSON.stringify(text)}`);
      } else if (seen.has(formatIp(ip))) {
        refuse([name, index], `names ${text} again`);
      } else {
        seen.add(formatIp(ip));
      }
    });
  }
}

/** bond_is_ip_target_ok and bond_is_ip6_target_ok, include/net/bonding.h: neither zero nor broadcast nor multicast. */
function isStation(family: 4 | 6, ip: bigint): boolean {
  if (family === 4) return ip !== 0n && ip >> 28n !== 0xen && ip !== 0xffffffffn;
  return ip > 1n && ip >> 120n !== 0xffn;
}

function checkPrimary(mode: BondMode, raw: RawBondOptions, nics: readonly string[], refuse: Refuse): void {
  const { primary } = raw;
  if (primary === undefined) {
    if (raw["primaryReselect"] !== undefined) refuse(["primaryReselect"], "needs a primary");
    return;
  }
  if (!hasPrimary(mode)) {
    refuse(["primary"], `is for active-backup, balance-tlb and balance-alb, not for mode ${mode}`);
  } else if (!nics.includes(String(primary))) {
    refuse(["primary"], `must be one of the NICs as written there (${nics.join(", ")}), not ${String(primary)}`);
  }
}

function namesOf(name: string): readonly string[] {
  return [name, ...Object.keys(bondOptionAliases).filter((alias) => bondOptionAliases[alias] === name)];
}

function list(words: readonly string[]): string {
  return words.length < 2 ? words.join("") : `${words.slice(0, -1).join(", ")} and ${words.at(-1)}`;
}
