/**
 * The bridge of a cluster network: an anchor that names the network to the host and to tools. No port is enslaved to it
 * while the eBPF switch carries the frames, so that a program that is taken away stops traffic instead of letting it
 * pass without VLANs.
 */
import type { LinkCreate } from "../kernel/kernel.ts";
import { bridgeName } from "../model/resources.ts";
import { bridgeAlias, type TargetLink } from "../model/target.ts";
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

export function bridge(clusterNetwork: string, switchId: number, mtu: number): TargetLink {
  return {
    name: bridgeName(clusterNetwork),
    kind: "bridge",
    alias: bridgeAlias(clusterNetwork, switchId),
    up: true,
    mtu,
    mac: "",
    txQueueLength: -1,
    promiscuous: false,
    noArp: false,
    data: BRIDGE_DATA,
    clusterNetwork,
  };
}

export function bridgeSettings(link: TargetLink): Comparable {
  return { up: link.up, alias: link.alias, mtu: link.mtu, data: link.data };
}

export function createBridge(link: TargetLink): LinkCreate {
  return { name: link.name, kind: "bridge", noIpv6LinkLocal: true, ...bridgeSettings(link) };
}
