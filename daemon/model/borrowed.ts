/**
 * A link of somebody else's that is a workload's port for a while (device "existing"). How it is to be given back stands
 * in its alias, set by the very message that changes it: so a crash at any moment loses nothing, and a link without an
 * attachment is given back by whichever round sees it. `isOurs` is false for it: nothing ever deletes it. Pure.
 */
import type { Address, Link, LinkSettings } from "../kernel/kernel.ts";
import { observedSettings } from "../links/settings.ts";
import { isLinkLocal, parseIp } from "./ip.ts";
import { isNic } from "./nic-ref.ts";
import type { Intent } from "./resources.ts";
import { isAdopted, isOurs } from "./target.ts";

const PREFIX = "portwright-borrowed ";
/** IFALIASZ less the terminator, uapi/linux/if.h */
const MAX_ALIAS = 255;
/** uapi/linux/if.h */
const IFF_LOOPBACK = 0x8;
/** For people only: what a link is borrowed for is known by its name. */
const ID_SHOWN = 64;

/** What is changed on it, and goes back. */
type Kept = Required<Pick<LinkSettings, "alias" | "up" | "noArp" | "mtu">>;

export function isBorrowed(link: Pick<Link, "alias">): boolean {
  return link.alias.startsWith(PREFIX);
}

/** The alias that it has while it is borrowed. */
export function borrowedAlias(attachmentId: string, link: Link): string {
  if (isBorrowed(link)) return link.alias;
  const { up, noArp, mtu, alias } = observedSettings(link);
  const was = alias === "" ? "" : ` was ${alias}`;
  return `${PREFIX}${up ? "up" : "down"} ${noArp ? "noarp" : "arp"} ${mtu} for ${attachmentId.slice(0, ID_SHOWN)}${was}`;
}

/** How it was; null: it is not borrowed */
export function parseBorrowed(alias: string): Kept | null {
  const match = /^portwright-borrowed (up|down) (no)?arp (\d+) for \S+(?: was (.*))?$/s.exec(alias);
  if (match === null) return null;
  const [, up, noArp, mtu, was = ""] = match;
  return { alias: was, up: up === "up", noArp: noArp !== undefined, mtu: Number(mtu) };
}

export interface BorrowWorld {
  readonly links: readonly Link[];
  readonly addresses: readonly Address[];
  readonly intent: Pick<Intent, "vlanConfigs">;
}

/** Why it cannot be a port that has this MTU; null: it can */
export function borrowFault(link: Link, mtu: number, { links, addresses, intent }: BorrowWorld): string | null {
  const { name, ifindex } = link;
  if ((link.flags & IFF_LOOPBACK) !== 0 || link.kind === "bridge")
    return `${name} is a ${link.kind || "loopback"} device`;
  if (isOurs(link) || isAdopted(link)) return `${name} belongs to the daemon itself: ${link.alias}`;
  for (const { name: config, uplink } of intent.vlanConfigs.values()) {
    if (uplink.nics.some((nic) => isNic(nic, link))) return `${name} is a NIC of VlanConfig ${config}`;
  }
  const master = links.find((other) => link.master !== 0 && other.ifindex === link.master);
  if (link.master !== 0 && !(isBorrowed(link) && master !== undefined && (isOurs(master) || isAdopted(master))))
    return `${name} belongs to ${link.masterKind || "master"} ${master?.name ?? link.master}`;
  const address = addresses.find((one) => one.ifindex === ifindex && !isOwnLinkLocal(one));
  if (address !== undefined) return `${name} has the address ${address.address}/${address.prefixLength}`;
  // One that is in use stays in use: cutting it off would be the worse fault.
  if (!isBorrowed(link) && link.maxMtu > 0 && mtu > link.maxMtu)
    return `${name} carries an MTU of ${link.maxMtu} at most, not ${mtu}`;
  // Octets count in the kernel, and all of it has to come back.
  if (Buffer.byteLength(borrowedAlias("x".repeat(ID_SHOWN), link)) > MAX_ALIAS)
    return `the alias of ${name} is too long to be kept: ${link.alias.slice(0, 40)}…`;
  return null;
}

function isOwnLinkLocal({ address }: Address): boolean {
  const ip = parseIp(address);
  return ip !== null && isLinkLocal(ip);
}
