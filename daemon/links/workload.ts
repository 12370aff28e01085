/**
 * The host's end of a workload's veth. The attach path makes it, together with the end in the workload's namespace; a
 * plan sees to it that it stays usable, and that the host's stack stays off it.
 */
import type { Attachment } from "../model/attachment.ts";
import { attachmentAlias, PLAIN_LINK, type TargetLink } from "../model/target.ts";
import type { Comparable } from "./settings.ts";

export function workload(
  attachment: Pick<Attachment, "id" | "hostInterface" | "clusterNetwork" | "network">,
  mtu: number,
): TargetLink {
  const { id, clusterNetwork, network } = attachment;
  return {
    name: attachment.hostInterface,
    kind: "workload",
    alias: attachmentAlias(clusterNetwork, network, id),
    up: true,
    mtu,
    ...PLAIN_LINK,
    noArp: true,
    clusterNetwork,
  };
}

export function workloadSettings(link: TargetLink): Comparable {
  return { up: link.up, mtu: link.mtu, noArp: link.noArp };
}
