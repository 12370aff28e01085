/**
 * The bridge of a cluster network. On the bridge datapath it switches the frames; beside the eBPF switch it is an
 * anchor that names the network to the host and to tools, and no port is enslaved to it: a program that is taken away
 * then stops traffic instead of letting it pass without VLANs.
 */
import type { Link, LinkCreate, LinkData } from "../kernel/kernel.ts";
import { derivedMac } from "../model/mac.ts";
import { bridgeName } from "../model/resources.ts";
import type { Switching } from "../model/switching.ts";
import { bridgeAlias, PLAIN_LINK, type TargetLink } from "../model/target.ts";
import type { Comparable } from "./settings.ts";

/**
 * Attributes of IFLA_BR_*, uapi/linux/if_link.h. No spanning tree, so no forward delay; multicast is flooded; netfilter
 * stays off, since it drops reassembled IPv6 fragments and halves the rate.
 */
export const BRIDGE_DATA = {
  stpState: 0,
  forwardDelay: 0,
  mcastSnooping: false,
  nfCallIptables: false,
  nfCallIp6tables: false,
  nfCallArptables: false,
} as const;

/**
 * VLANs are those that somebody sets: without a default PVID no port is born into VLAN 1. At birth the kernel puts the
 * bridge itself into VLAN 1 and takes it out again within the same message (br_vlan_bridge_event, br_changelink), before
 * anyone can look. Afterwards it changes both live.
 */
export const FILTERING_DATA = { vlanFiltering: true, vlanDefaultPvid: 0, vlanStatsEnabled: true } as const;

/** The kernel takes it only while no port has VLANs (br_vlan_set_stats_per_port: EBUSY): set at birth, never corrected. */
const BIRTH_DATA = { vlanStatsPerPort: true } as const;

/**
 * Its MAC: a bridge without one takes the lowest of its ports' (br_stp_recalculate_bridge_id), so that neighbours and
 * leases of the host would change with a NIC or a workload. This one is the same after every restart and repair, and
 * another on every host.
 */
export function bridge(clusterNetwork: string, switchId: number, mtu: number, switching: Switching): TargetLink {
  return {
    name: bridgeName(clusterNetwork),
    kind: "bridge",
    alias: bridgeAlias(clusterNetwork, switchId),
    up: true,
    mtu,
    ...PLAIN_LINK,
    mac: derivedMac(`${switching.hostKey} ${bridgeName(clusterNetwork)}`),
    data: switching.vlanFiltering ? { ...BRIDGE_DATA, ...FILTERING_DATA } : BRIDGE_DATA,
    clusterNetwork,
  };
}

export function bridgeSettings(link: TargetLink): Comparable {
  const { up, alias, mtu, mac, data } = link;
  return { up, alias, mtu, ...(mac === "" ? {} : { mac }), data };
}

export function createBridge(link: TargetLink): LinkCreate {
  const birth: LinkData = link.data["vlanFiltering"] === true ? BIRTH_DATA : {};
  const settings = bridgeSettings(link);
  return { name: link.name, kind: "bridge", noIpv6LinkLocal: true, ...settings, data: { ...settings.data, ...birth } };
}

/** Of what is reported, what makes it again. A kernel that cannot filter says false, and refuses to be told so. */
export function settableBridgeData(observed: LinkData): LinkData {
  const wanted = observed["vlanFiltering"] === true ? { ...BRIDGE_DATA, ...FILTERING_DATA } : BRIDGE_DATA;
  const keys = new Set(Object.keys(wanted));
  return Object.fromEntries(Object.entries(observed).filter(([key]) => keys.has(key)));
}

export function isFiltering({ kind, data }: Pick<Link, "kind" | "data">): boolean {
  return kind === "bridge" && data["vlanFiltering"] === true;
}
