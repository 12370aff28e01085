/**
 * The host's end of a workload's veth. The attach path makes it, together with the end in the workload's namespace; a
 * plan sees to it that it stays usable, and that the host's stack stays off it.
 */
import type { Attachment } from "../model/attachment.ts";
import { attachmentAlias, type TargetLink } from "../model/target.ts";
import type { Comparable } from "./settings.ts";

export function workload(
  attachment: Pick<Attachment, "id" | "hostInterface" | "clusterNetwork" | "network" | "mtu">,
): TargetLink {
  const { id, clusterNetwork, network } = attachment;
  return {
    name: attachment.hostInterface,
    kind: "workload",
    alias: attachmentAlias(clusterNetwork, network, id),
    up: true,
    mtu: attachment.mtu,
    mac: "",
    txQueueLength: -1,
    promiscuous: false,
    noArp: true,
    data: {},
    clusterNetwork,
  };
}

/** The MTU belongs to both ends and was set at birth: what the port may send is the switch's to decide. */
export function workloadSettings(link: TargetLink): Comparable {
  return { up: link.up, noArp: link.noArp };
}
