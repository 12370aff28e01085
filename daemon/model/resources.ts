/**
 * Intent: what an operator wants, as typed resources. `daemon/intent` makes these out of YAML; nothing here reads files.
 * Field names and kinds follow Harvester's `network.harvesterhci.io/v1beta1`; what it lacks is ours and optional.
 */
import type { LinkData } from "../kernel/kernel.ts";
import type { BondMode } from "./bond-options.ts";
import type { VlanSet } from "./vlan-set.ts";

/** Where a resource or a field was written, for messages: `file:line:column`. */
export interface Place {
  readonly file: string;
  readonly line: number;
  readonly column: number;
}

/** A group of networks that share one uplink; becomes one switch. Name: DNS label, at most 12 characters. */
export interface ClusterNetwork {
  readonly name: string;
  /** its bridge was there before us, and is taken over as it is */
  readonly adopt?: true;
  /** an adopted bridge that does not filter VLANs shall */
  readonly vlanFiltering?: true;
  readonly place: Place;
}

export interface BondOptions {
  readonly mode: BondMode;
  /** false: it is the default */
  readonly modeIsGiven: boolean;
  /** all that the bond shall have, by the kernel's attribute (bond-options.ts); without primary */
  readonly data: LinkData;
  /** as written in nics; empty: none */
  readonly primary: string;
  /** attributes that the intent names: to be told of, should the kernel not have them */
  readonly asked: readonly string[];
}

/** Which NICs carry a cluster network on this host, and how. At most one applies to a host and cluster network. */
export interface VlanConfig {
  readonly name: string;
  readonly clusterNetwork: string;
  readonly description: string;
  readonly nodeSelector: Readonly<Record<string, string>>;
  readonly uplink: {
    /** names, "mac:…" or "pci:…" (nic-ref.ts) */
    readonly nics: readonly string[];
    /** 0 means 1500 */
    readonly mtu: number;
    /** -1: leave */
    readonly txQueueLength: number;
    /** empty: leave */
    readonly hardwareAddress: string;
    readonly bond: BondOptions;
    /** VLAN of untagged frames on the wire; default 1 */
    readonly nativeVlan: number;
  };
  readonly place: Place;
}

export type NetworkType = "L2VlanNetwork" | "UntaggedNetwork" | "L2VlanTrunkNetwork";

/** How a network's gateway is known, and from where it is probed. */
export type NetworkRoute =
  | {
      readonly mode: "manual";
      readonly cidr: string;
      readonly gateway: string;
      /** source address of ICMP probes on this host, inside cidr; without it only ARP is probed */
      readonly probeAddress?: string;
    }
  | { readonly mode: "auto"; readonly serverAddress?: string };

/** One network that workloads attach to: the short form of a NetworkAttachmentDefinition, or read from one. */
export interface Network {
  /** `name`, or `namespace/name` if it came from a NetworkAttachmentDefinition */
  readonly name: string;
  readonly clusterNetwork: string;
  readonly type: NetworkType;
  /** 1..4094 for L2VlanNetwork; 0 otherwise */
  readonly vlan: number;
  /** allowed VLANs of a trunk network; empty otherwise */
  readonly trunk: VlanSet;
  readonly route?: NetworkRoute;
  /** ports of the network cannot reach each other, only ports that are not isolated */
  readonly portIsolation: boolean;
  /** addresses that may be learned on one port; 0: no limit */
  readonly fdbLimit: number;
  readonly place: Place;
}

/** An address with the length of its subnet's prefix; canonical text. */
export interface HostAddress {
  readonly address: string;
  readonly prefixLength: number;
}

/** An interface of the host itself in one VLAN of a cluster network, as it is meant for this host. */
export interface HostNetworkConfig {
  readonly name: string;
  readonly description: string;
  readonly clusterNetwork: string;
  readonly vlan: number;
  /** overlay networks may use it: told, without effect here */
  readonly underlay: boolean;
  /** an IPv4 address comes from a server */
  readonly dhcp: boolean;
  /** given; none with dhcp */
  readonly addresses: readonly HostAddress[];
  /** empty: derived */
  readonly hardwareAddress: string;
  readonly place: Place;
}

export interface Intent {
  readonly clusterNetworks: ReadonlyMap<string, ClusterNetwork>;
  /** only those whose nodeSelector matches this host, by cluster network */
  readonly vlanConfigs: ReadonlyMap<string, VlanConfig>;
  readonly networks: ReadonlyMap<string, Network>;
  /** only those whose nodeSelector matches this host */
  readonly hostNetworkConfigs: ReadonlyMap<string, HostNetworkConfig>;
}

export const NO_INTENT: Intent = {
  clusterNetworks: new Map(),
  vlanConfigs: new Map(),
  networks: new Map(),
  hostNetworkConfigs: new Map(),
};

export const DEFAULT_MTU = 1500;
export const DEFAULT_NATIVE_VLAN = 1;

export function bridgeName(clusterNetwork: string): string {
  return `${clusterNetwork}-br`;
}
export function bondName(clusterNetwork: string): string {
  return `${clusterNetwork}-bo`;
}
/** The two ends of the veth through which this host's probes enter the switch. */
export function probeLinkNames(clusterNetwork: string): { readonly port: string; readonly inner: string } {
  return { port: `${clusterNetwork}-pp`, inner: `${clusterNetwork}-pi` };
}
/** The host's interface in a VLAN, and the port by which it enters the eBPF switch. */
export function hostLinkNames(
  clusterNetwork: string,
  vlan: number,
): { readonly device: string; readonly port: string } {
  return { device: `${bridgeName(clusterNetwork)}.${vlan}`, port: `${clusterNetwork}-h.${vlan}` };
}
