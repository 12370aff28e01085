/**
 * The host's interface in a VLAN of a bridge that filters: an 8021q device on the bridge, which is in that VLAN itself. It
 * has the bridge's MAC: frames for another would not be handed up by the bridge, whose FDB knows only its own as local
 * (br_handle_frame_finish). Where a MAC of its own is asked for, the interface is a veth (veth.ts).
 */
import type { LinkCreate } from "../kernel/kernel.ts";
import { bridgeName, hostLinkNames } from "../model/resources.ts";
import { hostAlias, PLAIN_LINK, type TargetLink } from "../model/target.ts";
import type { Comparable } from "./settings.ts";

export function hostVlan(clusterNetwork: string, vlan: number, mtu: number): TargetLink {
  return {
    name: hostLinkNames(clusterNetwork, vlan).device,
    kind: "vlan",
    lower: bridgeName(clusterNetwork),
    alias: hostAlias(clusterNetwork, vlan),
    up: true,
    mtu,
    ...PLAIN_LINK,
    data: { id: vlan },
    clusterNetwork,
  };
}

/** The VLAN of a device cannot be changed: one with another is made anew. */
export function vlanSettings(link: TargetLink): Comparable {
  return { up: link.up, alias: link.alias, mtu: link.mtu };
}

/** `link`, its lower device, is looked up when the step runs: an earlier one may make it. */
export function createVlan(link: TargetLink): LinkCreate {
  return { name: link.name, kind: "vlan", ...vlanSettings(link), data: link.data };
}
