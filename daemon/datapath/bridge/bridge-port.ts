/**
 * A port of a kernel bridge: what its link, its master and its VLAN entries say, and how it should be. Nothing is kept
 * beside the kernel, so a setting of a port that cannot be read back cannot be had here. Pure.
 */
import type { BridgeVlan, Link, LinkData, LinkSettings } from "../../kernel/kernel.ts";
import { portChanges } from "../../model/describe.ts";
import { type PortConfig, type PortKind, samePort } from "../../model/port.ts";
import { isBorrowed } from "../../model/borrowed.ts";
import { isAdopted, isHostAlias, isOurs, isWorkloadLink, type ObservedPort, parseAlias } from "../../model/target.ts";
import { isFiltering } from "../../links/bridge.ts";
import { DEFAULT_NATIVE_VLAN } from "../../model/resources.ts";
import { VlanSet } from "../../model/vlan-set.ts";
import { type Membership, membershipOf } from "./vlan-entries.ts";

/**
 * The same of every port (IFLA_BRPORT_*): no frame returns by the port it came from, all kinds of frames are flooded,
 * the bridge answers nobody's ARP, and no address is locked. The state is the kernel's own to set: without spanning tree
 * a port forwards as soon as it has a carrier (br_stp_enable_port).
 */
const FIXED = {
  hairpin: false,
  mcastFlood: true,
  bcastFlood: true,
  mcastToUcast: false,
  proxyArp: false,
  proxyArpWifi: false,
  neighSuppress: false,
  vlanTunnel: false,
  groupFwdMask: 0,
  locked: false,
} as const;

/** Id of the switch whose bridge this is; null: it is no bridge of ours. */
export function switchOf(link: Pick<Link, "kind" | "alias">): number | null {
  return link.kind === "bridge" ? (parseAlias(link.alias)?.switchId ?? null) : null;
}

export function observedPort(link: Link, switchId: number, vlans: Membership): ObservedPort {
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
      learn: isBridge || found["learning"] === true,
      flood: isBridge || found["unicastFlood"] === true,
      peer: isWorkloadLink(link) && kind !== "tap",
      fdbLimit: 0,
      open: true,
      hairpin: false,
      sourceMac: "",
    },
    attached: isBridge || Object.keys(fixedChange(found)).length === 0,
  };
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
): ObservedPort | null {
  const port = observedPort(
    link,
    switchId,
    isFiltering(bridge) || !isAdopted(bridge) ? membershipOf(entries) : NO_VLANS,
  );
  if (!isAdopted(bridge) || isOurs(link) || isBorrowed(link)) return port;
  if (link.kind !== "bond" && link.kind !== "") return null;
  return { ...port, attached: true, config: { ...port.config, learn: true, flood: true, isolated: false } };
}

/** Only what differs, of a link that is in its bridge; null: all is right. */
export function portSettings(config: PortConfig, link: Link): LinkSettings | null {
  const mtu = link.mtu === config.mtu ? {} : { mtu: config.mtu };
  if (link.kind === "bridge") return link.mtu === config.mtu ? null : mtu;
  const wanted: LinkData = { learning: config.learn, unicastFlood: config.flood, isolated: config.isolated };
  const memberData = { ...different(wanted, link.memberData), ...fixedChange(link.memberData) };
  if (Object.keys(memberData).length === 0) return link.mtu === config.mtu ? null : mtu;
  return { ...mtu, memberData };
}

/** What of the port the kernel's bridge cannot do; empty: nothing. */
export function unsupported(config: PortConfig, link: Link): readonly string[] {
  const memberData = { learning: config.learn, unicastFlood: config.flood, isolated: config.isolated, ...FIXED };
  const vlans: Membership = {
    pvid: config.allowed.has(config.pvid) ? config.pvid : 0,
    allowed: config.allowed,
    untagged: config.untagged.intersection(config.allowed),
  };
  const had = observedPort({ ...link, mtu: config.mtu, memberData }, config.switchId, vlans).config;
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
