/** An attachment: one workload interface that the daemon made and answers for. Stored durably by `daemon/attach`. */
import type { PortVlans } from "./port.ts";

export interface AttachmentIp {
  readonly address: string;
  readonly prefixLength: number;
  readonly gateway?: string;
}
export interface AttachmentRoute {
  readonly destination: string;
  readonly prefixLength: number;
  readonly gateway?: string;
}

export interface Attachment {
  /** `<containerId>/<interface>`: a container's interface is attached once */
  readonly id: string;
  readonly containerId: string;
  /** name in the container */
  readonly interface: string;
  /** as given; for messages only: the namespace itself is known by device and inode */
  readonly netnsPath: string;
  readonly netns: { readonly device: string; readonly inode: string };
  readonly clusterNetwork: string;
  /** label in metrics and status: name of the Network, or of the network configuration */
  readonly network: string;
  readonly vlans: PortVlans;
  readonly isolated: boolean;
  readonly fdbLimit: number;
  readonly mac: string;
  /** what both ends were given last; 0: the container's end is being changed, or was when the daemon died */
  readonly mtu: number;
  /** asked for by the client; 0: that of the cluster network, whatever it becomes */
  readonly mtuAsked: number;
  readonly hostInterface: string;
  readonly hostIfindex: number;
  readonly ips: readonly AttachmentIp[];
  readonly routes: readonly AttachmentRoute[];
  /** "pending": being made or unmade; found at start, it is undone */
  readonly state: "pending" | "ready";
  /** who asked: needed to undo IPAM and to answer GC */
  readonly origin:
    | { readonly kind: "api" }
    | { readonly kind: "cni"; readonly cniVersion: string; readonly networkName: string; readonly ipamType: string };
  /** ISO 8601 */
  readonly createdAt: string;
}

/** What the switch needs to know of an attachment; known before its port is made. */
export type Workload = Pick<
  Attachment,
  | "id"
  | "clusterNetwork"
  | "network"
  | "hostInterface"
  | "vlans"
  | "isolated"
  | "fdbLimit"
  | "mtu"
  | "mtuAsked"
  | "state"
>;

/** MTU of both ends: what was asked for, as far as the network carries it; else the network's. */
export function workloadMtu({ mtuAsked }: Pick<Workload, "mtuAsked">, network: number): number {
  return mtuAsked === 0 ? network : Math.min(mtuAsked, network);
}
