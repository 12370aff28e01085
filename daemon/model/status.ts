/** What the daemon says of itself and its networks: read by the API, the metrics, the demo. Computed from what was observed. */
import type { BondMode } from "./bond-options.ts";
import type { Condition, PortRole } from "./target.ts";
import type { TransactionStatus } from "./transaction.ts";
import type { ProbeReport } from "./probe.ts";

export interface PortStatus {
  /** host interface; node_exporter's `device` */
  readonly device: string;
  readonly ifindex: number;
  readonly role: PortRole;
  readonly clusterNetwork: string;
  readonly network: string;
  readonly attachment: string;
  readonly pvid: number;
  /** "100,200-210" */
  readonly allowed: string;
  readonly untagged: string;
  readonly mtu: number;
  readonly up: boolean;
  readonly carrier: boolean;
  readonly attached: boolean;
}

export interface NetworkStatus {
  readonly name: string;
  readonly clusterNetwork: string;
  readonly type: string;
  readonly vlan: number;
  readonly trunk: string;
  readonly mtu: number;
  /** uplink up, and no probe of it fails */
  readonly up: boolean;
  readonly ports: number;
  readonly probes: readonly ProbeReport[];
}

/**
 * "absent": not on the host. "refused": there, and not taken; a condition says why. "down": somebody set it down.
 * "no-carrier". "waiting": has a carrier that does not count yet, for updelay, ARP or LACP. "backup": ready to take
 * over. "active": carries traffic.
 */
export type MemberState = "absent" | "refused" | "down" | "no-carrier" | "waiting" | "backup" | "active";

/** A NIC of an uplink. */
export interface MemberStatus {
  /** as the intent names it; empty: it is in the bond although it is not wanted any more */
  readonly nic: string;
  /** interface; empty: absent */
  readonly device: string;
  readonly state: MemberState;
  /** the one that a bond hides behind its own; empty: absent */
  readonly mac: string;
  /** MAC of the system at the other end, by LACP; empty: none, or another mode */
  readonly partner: string;
  /** times that the bond lost it since it was taken in */
  readonly failures: number;
}

export interface ClusterNetworkStatus {
  readonly name: string;
  readonly switchId: number;
  readonly bridge: string;
  /** NIC or bond; empty: none */
  readonly uplink: string;
  /** "nic": a single NIC without a bond, since the kernel has no bonding */
  readonly uplinkKind: "none" | "nic" | "bond";
  /** of the bond as it is; empty: there is none */
  readonly bondMode: BondMode | "";
  /** in the order of the intent */
  readonly members: readonly MemberStatus[];
  readonly ready: boolean;
  readonly mtu: number;
  readonly nativeVlan: number;
}

/** An interface of the host itself in a VLAN. */
export interface HostNetworkStatus {
  /** of its HostNetworkConfig */
  readonly name: string;
  readonly clusterNetwork: string;
  readonly vlan: number;
  readonly device: string;
  readonly mode: "static" | "dhcp";
  readonly underlay: boolean;
  /** empty, as 0 of the MTU: the interface is not there */
  readonly mac: string;
  readonly mtu: number;
  /** all that the interface has, whoever put them there. "tentative": it is being asked whether somebody else has it. */
  readonly addresses: readonly { readonly address: string; readonly state: "ready" | "tentative" | "duplicate" }[];
  /** null: none, or mode static */
  readonly lease: { readonly server: string; readonly obtainedAt: string; readonly expiresAt: string } | null;
  /** up, in its VLAN, and with every address that is wanted */
  readonly ready: boolean;
}

export interface Status {
  readonly version: string;
  readonly netns: string;
  readonly startedAt: string;
  /** URL of the HTTP listener; empty: none */
  readonly http: string;
  readonly datapath: { readonly kind: "ebpf" | "bridge"; readonly rung: string; readonly reason: string };
  readonly ready: boolean;
  readonly configGeneration: { readonly desired: number; readonly applied: number };
  readonly clusterNetworks: readonly ClusterNetworkStatus[];
  readonly networks: readonly NetworkStatus[];
  readonly hostNetworks: readonly HostNetworkStatus[];
  readonly conditions: readonly Condition[];
  readonly transaction: TransactionStatus;
}
