/**
 * A port of a kernel bridge: what its link, its master and its VLAN entries say, and how it should be. Nothing is kept
 * beside the kernel, so a setting of a port that cannot be read back cannot be had here. Pure.
 */
import type { BridgeVlan, Link, LinkData, LinkSettings } from "../../kernel/kernel.ts";
import { portChanges } from "../../model/describe.ts";
import { type PortConfig, type PortKind, samePort, UNRESTRICTED } from "../../model/port.ts";
import { isBorrowed } from "../../model/borrowed.ts";
import { isAdopted, isHostAlias, isOurs, isWorkloadLink, type ObservedPort, parseAlias } from "../../model/target.ts";
import { isFiltering } from "../../links/bridge.ts";
import { DEFAULT_NATIVE_VLAN } from "../../model/resources.ts";
import { VlanSet } from "../../model/vlan-set.ts";
import { type Membership, membershipOf } from "./vlan-entries.ts";

/**
 * The same of every port (IFLA_BRPORT_*): groups are flooded, and the bridge answers nobody's ARP. The state is the
 * kernel's own to set: without spanning tree a port forwards as soon as it has a carrier (br_stp_enable_port), and again
 * when another port gets one (br_port_state_selection), so a port is not kept closed by it. One that is closed is in no
 * VLAN, and is not flooded to, by which it is known.
 */
const FIXED = {
  mcastFlood: true,
  mcastToUcast: false,
  proxyArp: false,
  proxyArpWifi: false,
  neighSuppress: false,
  vlanTunnel: false,
  groupFwdMask: 0,
} as const;

/**
 * A locked port (Linux 5.16) takes frames only from addresses that the bridge knows there (br_handle_frame_finish). It
 * must not learn: of frames to 01:80:c2:00:00:0x it would, whatever their source (__br_handle_local_finish).
 */
function flagsOf(config: PortConfig): LinkData {
  const locked = config.sourceMac !== "";
  return {
    learning: config.learn && !locked,
    unicastFlood: config.flood,
    isolated: config.isolated,
    hairpin: config.hairpin,
    bcastFlood: config.open,
    locked,
  };
}

/** Id of the switch whose bridge this is; null: it is no bridge of ours. */
export function switchOf(link: Pick<Link, "kind" | "alias">): number | null {
  return link.kind === "bridge" ? (parseAlias(link.alias)?.switchId ?? null) : null;
}

/** `source`: what a locked port was found to be locked to */
export function observedPort(link: Link, switchId: number, vlans: Membership, source = ""): ObservedPort {
  const kind = kindOf(link);
  const { memberData: found, mtu } = link;
  const isBridge = link.kind === "bridge";
  return {
    ifindex: link.ifindex,
    portId: Number(found["number"] ?? 0),
    config: {
      datapath: "bridge",
      kind,
      switchId,
      pvid: vlans.pvid,
      allowed: vlans.allowed,
      untagged: vlans.untagged,
      mtu,
      uplink: kind === "nic" && !isBorrowed(link),
      isolated: found["isolated"] === true,
      learn: isBridge || isLocked(link) || found["learning"] === true,
      flood: isBridge || found["unicastFlood"] === true,
      peer: isWorkloadLink(link) && kind !== "tap",
      fdbLimit: 0,
      open: isBridge || found["bcastFlood"] !== false,
      hairpin: found["hairpin"] === true,
      sourceMac: isLocked(link) ? source : "",
    },
    attached: isBridge || (Object.keys(fixedChange(found)).length === 0 && isLocked(link) === (source !== "")),
  };
}

export function isLocked({ memberData }: Pick<Link, "memberData">): boolean {
  return memberData["locked"] === true;
}

/** Every port of a bridge that does not filter: all frames are of one VLAN, which has no number. */
export const NO_VLANS: Membership = {
  pvid: DEFAULT_NATIVE_VLAN,
  allowed: VlanSet.of(DEFAULT_NATIVE_VLAN),
  untagged: VlanSet.of(DEFAULT_NATIVE_VLAN),
};

/**
 * A port as its bridge makes it. In a bridge that was taken over only links of ours and what leads out of it are looked
 * at; of the latter nothing but the VLANs.
 */
export function observedIn(
  bridge: Link,
  link: Link,
  switchId: number,
  entries: readonly BridgeVlan[],
  source: string,
): ObservedPort | null {
  const vlans = isFiltering(bridge) || !isAdopted(bridge) ? membershipOf(entries) : NO_VLANS;
  const port = observedPort(link, switchId, vlans, source);
  if (!isAdopted(bridge) || isOurs(link) || isBorrowed(link)) return port;
  if (link.kind !== "bond" && link.kind !== "") return null;
  return { ...port, attached: true, config: { ...port.config, ...UNRESTRICTED } };
}

/** Only what differs, of a link that is in its bridge; null: all is right. */
export function portSettings(config: PortConfig, link: Link): LinkSettings | null {
  const mtu = link.mtu === config.mtu ? {} : { mtu: config.mtu };
  if (link.kind === "bridge") return link.mtu === config.mtu ? null : mtu;
  const memberData = { ...different(flagsOf(config), link.memberData), ...fixedChange(link.memberData) };
  if (Object.keys(memberData).length === 0) return link.mtu === config.mtu ? null : mtu;
  return { ...mtu, memberData };
}

/** What of the port the kernel's bridge cannot do; empty: nothing. */
export function unsupported(config: PortConfig, link: Link): readonly string[] {
  const memberData = { ...flagsOf(config), ...FIXED };
  const allowed = config.open ? config.allowed : VlanSet.empty;
  const vlans: Membership = {
    pvid: allowed.has(config.pvid) ? config.pvid : 0,
    allowed,
    untagged: config.untagged.intersection(allowed),
  };
  const had = observedPort(
    { ...link, mtu: config.mtu, memberData },
    config.switchId,
    vlans,
    allowed.isEmpty ? "" : config.sourceMac,
  ).config;
  return samePort(had, config) ? [] : portChanges(had, config);
}

function kindOf(link: Link): PortKind {
  if (link.kind === "bridge") return "host";
  if (isBorrowed(link)) return "nic";
  if (link.kind === "tun") return "tap";
  if (link.kind === "bond" || !isOurs(link)) return "nic";
  return isWorkloadLink(link) || isHostAlias(link.alias) ? "veth" : "host";
}

/** An attribute that this kernel does not report is one that it does not have. */
function different(wanted: LinkData, found: LinkData): LinkData {
  return Object.fromEntries(
    Object.entries(wanted).filter(([key, value]) => found[key] !== undefined && found[key] !== value),
  );
}

function fixedChange(found: LinkData): LinkData {
  return different(FIXED, found);
}
