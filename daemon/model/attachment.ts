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

/** What the two ends of a port are. */
export type PortDevice =
  /** a pair of which one end goes into the workload's namespace */
  | { readonly kind: "veth" }
  /** a pair as above, and in the workload's namespace a tap that takes the name and all frames of its end */
  | { readonly kind: "inner-tap"; readonly tap: TapOptions }
  /** a tap in the host's namespace, for a VM that runs there; `name` empty: derived from the attachment's id */
  | { readonly kind: "tap"; readonly name: string; readonly tap: TapOptions }
  /** a link that somebody else made in the host's namespace, and keeps */
  | { readonly kind: "existing"; readonly name: string };

export interface TapOptions {
  /** 1-256 (MAX_TAP_QUEUES); more than 1: IFF_MULTI_QUEUE */
  readonly queues: number;
  /** who may open it besides root; null: nobody */
  readonly owner: number | null;
  readonly group: number | null;
}

/** A bridge that belongs to no cluster network; see local-bridge.ts. */
export interface LocalBridge {
  readonly name: string;
  readonly promiscuous: boolean;
}

/** What can be asked of a workload's port beyond its VLANs. */
export interface PortFeatures {
  readonly device: PortDevice;
  readonly isolated: boolean;
  /** 0: no limit */
  readonly fdbLimit: number;
  /** frames for an address that is on the port itself go back out of it */
  readonly hairpin: boolean;
  /** frames with another source MAC than the attachment's are dropped */
  readonly spoofCheck: boolean;
  /** the workload's end is left down, for the workload to set up; it has no addresses then */
  readonly containerDown: boolean;
  /** nothing passes, in or out, and nothing is learned, until it is opened: the target of a live migration */
  readonly gated: boolean;
  /** addresses that the host has in the port's VLAN, for the workload to route by */
  readonly gateways: readonly Pick<AttachmentIp, "address" | "prefixLength">[];
  /** what the workload sends beyond its own subnets leaves the host with the host's address */
  readonly masquerade: boolean;
  /** the bridge, if it belongs to no cluster network */
  readonly localBridge: LocalBridge | null;
}

export const NO_FEATURES: PortFeatures = {
  device: { kind: "veth" },
  isolated: false,
  fdbLimit: 0,
  hairpin: false,
  spoofCheck: false,
  containerDown: false,
  gated: false,
  gateways: [],
  masquerade: false,
  localBridge: null,
};

export interface Attachment extends PortFeatures {
  /** `<containerId>/<interface>`: a container's interface is attached once */
  readonly id: string;
  readonly containerId: string;
  /** name in the container */
  readonly interface: string;
  /** as given; for messages only: the namespace itself is known by device and inode. Empty: there is no other than the host's */
  readonly netnsPath: string;
  readonly netns: { readonly device: string; readonly inode: string };
  readonly clusterNetwork: string;
  /** label in metrics and status: name of the Network, or of the network configuration */
  readonly network: string;
  readonly vlans: PortVlans;
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
export type Workload = PortFeatures &
  Pick<
    Attachment,
    "id" | "clusterNetwork" | "network" | "hostInterface" | "vlans" | "mac" | "mtu" | "mtuAsked" | "state"
  >;

/** It has an end in a namespace of the workload's; else all of it is in the host's. */
export function reachesWorkload({ device }: Pick<PortFeatures, "device">): boolean {
  return device.kind === "veth" || device.kind === "inner-tap";
}

/** MTU of both ends: what was asked for, as far as the network carries it; else the network's. */
export function workloadMtu({ mtuAsked }: Pick<Workload, "mtuAsked">, network: number): number {
  return mtuAsked === 0 ? network : Math.min(mtuAsked, network);
}
