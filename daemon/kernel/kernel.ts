/**
 * The one door to the kernel. Everything above speaks these types; `native.ts` implements them over the addon and tests
 * may replace them. Every method that fails throws a `KernelError` (kernel-error.ts) with errno, operation, object and
 * the kernel's own text. Numbers are plain host-order integers; MAC addresses are lower-case colon form; IP addresses
 * are text, with prefix length apart. Interface indexes are per namespace.
 */

import type { Bpf } from "./bpf.ts";
import type { PacketSocket, PacketSocketOptions, ReceivedFrame } from "./packet.ts";
import type { ProgramCall, ProgramEnd } from "./program.ts";

export type { PacketSocket, PacketSocketOptions, ReceivedFrame };

/** Names a link: by index wherever one is known, since names move. */
export type LinkRef = { readonly ifindex: number } | { readonly name: string };

/**
 * A link of another namespace by that one's id, such as the other end of a veth: `link` and `linkNetnsId` of this one. To
 * be read or deleted only: in a change that id moves the device.
 */
export type PeerRef = { readonly ifindex: number; readonly netnsId: number };

export type LinkKind = "veth" | "bridge" | "tun" | "vlan" | "bond" | "dummy" | "vxlan" | "vrf" | (string & {});

/** One link as the kernel reports it (RTM_NEWLINK). `kind` is empty for physical devices. */
export interface Link {
  readonly ifindex: number;
  readonly name: string;
  readonly altNames: readonly string[];
  readonly alias: string;
  readonly kind: LinkKind;
  /** IFF_* bits, uapi/linux/if.h */
  readonly flags: number;
  readonly up: boolean; // IFF_UP
  readonly carrier: boolean; // IFLA_CARRIER
  readonly operState: number; // IF_OPER_*
  readonly mtu: number;
  readonly minMtu: number;
  readonly maxMtu: number;
  readonly txQueueLength: number;
  readonly mac: string;
  readonly permanentMac: string; // empty if the driver has none
  /** index of the master, 0 if none */
  readonly master: number;
  readonly masterKind: string; // IFLA_INFO_SLAVE_KIND, e.g. "bridge"
  /** IFLA_LINK: the peer (veth) or the lower device; 0 if none */
  readonly link: number;
  /** IFLA_LINK_NETNSID: id of the peer's namespace, -1 if it is the same */
  readonly linkNetnsId: number;
  readonly promiscuity: number;
  /** carrier changes since creation */
  readonly carrierChanges: number;
  readonly parentBus: string; // IFLA_PARENT_DEV_BUS_NAME
  readonly parentDevice: string; // IFLA_PARENT_DEV_NAME
  readonly pciPath: string; // of the PCI function that it is, or is the child of (virtio); empty: of none
  /** what the driver of `kind` reports, e.g. bridge.vlanFiltering; names as in LinkData */
  readonly data: LinkData;
  /** what a bond or a bridge reports of its member (IFLA_INFO_SLAVE_DATA), e.g. miiStatus; empty without such a master */
  readonly memberData: LinkData;
  readonly stats: LinkStats;
}

/** rtnl_link_stats64, the fields used here. */
export interface LinkStats {
  readonly rxPackets: number;
  readonly rxBytes: number;
  readonly rxErrors: number;
  readonly rxDropped: number;
  readonly txPackets: number;
  readonly txBytes: number;
  readonly txErrors: number;
  readonly txDropped: number;
}

/**
 * Attributes inside IFLA_INFO_DATA, by the kernel's names in camelCase. One table a kind in native/addon/link_data_tables.h.
 * A list of addresses is one text, joined by commas.
 */
export type LinkData = Readonly<Record<string, number | string | boolean>>;

/** What may be set on a link, at creation or later. Absent means "leave". */
export interface LinkSettings {
  readonly up?: boolean;
  readonly name?: string;
  readonly alias?: string;
  readonly mtu?: number;
  readonly mac?: string;
  readonly txQueueLength?: number;
  readonly promiscuous?: boolean; // IFF_PROMISC
  readonly noArp?: boolean; // IFF_NOARP
  readonly master?: number; // 0: release
  /** IFLA_INET6_ADDR_GEN_MODE none: no link-local address comes by itself */
  readonly noIpv6LinkLocal?: boolean;
  readonly data?: LinkData;
  /** what its master keeps of it (IFLA_INFO_SLAVE_DATA); of a link that has one already, never in one with `master` */
  readonly memberData?: LinkData;
  /** move to this namespace */
  readonly netns?: NetnsHandle;
}

export interface LinkCreate extends LinkSettings {
  readonly name: string;
  readonly kind: LinkKind;
  /** IFLA_LINK: the lower device of a vlan or macvlan */
  readonly link?: number;
  /** veth only: the other end, born in `netns` if given. It cannot be up at birth (the kernel says ENOTCONN). */
  readonly peer?: { readonly name: string; readonly netns?: NetnsHandle; readonly mac?: string; readonly mtu?: number };
  /** tun only: a persistent tap. The kernel makes none by RTM_NEWLINK (tun_validate); it goes by /dev/net/tun. */
  readonly tap?: { readonly multiQueue: boolean; readonly owner: number | null; readonly group: number | null };
}

export interface CreatedLink {
  readonly ifindex: number;
  /** of a veth's other end, in its namespace; else 0 */
  readonly peerIfindex: number;
  readonly mac: string;
}

export interface Address {
  readonly ifindex: number;
  readonly family: 4 | 6;
  readonly address: string;
  readonly prefixLength: number;
  readonly scope: number;
  readonly flags: number; // IFA_F_*
  /** IFA_PROTO, Linux 5.18: who put it there; 0: not said */
  readonly protocol: number;
}

export interface AddressSpec {
  readonly ifindex: number;
  readonly address: string;
  readonly prefixLength: number;
  /** IPv6: do not run duplicate address detection (IFA_F_NODAD) */
  readonly noDad?: boolean;
  /** IFA_PROTO; kernels before 5.18 pass over it */
  readonly protocol?: number;
}

export interface RouteSpec {
  readonly destination: string; // address, "0.0.0.0" or "::" with prefixLength 0 is the default route
  readonly prefixLength: number;
  readonly gateway?: string;
  readonly ifindex?: number;
  readonly metric?: number;
  readonly mtu?: number;
  readonly scope?: number;
  readonly table?: number;
}

export interface Route extends RouteSpec {
  readonly family: 4 | 6;
  readonly protocol: number;
}

export interface Neighbour {
  readonly ifindex: number;
  readonly family: number; // AF_INET, AF_INET6, AF_BRIDGE
  readonly address: string; // IP, or empty for AF_BRIDGE
  readonly mac: string;
  readonly state: number; // NUD_*
  readonly flags: number; // NTF_*
  readonly vlan?: number;
  /** s since it was last updated, which an address of a bridge is by every frame from it */
  readonly updated?: number;
}

/** One VLAN filter entry of a bridge port or of the bridge itself (RTM_GETLINK with RTEXT_FILTER_BRVLAN). */
export interface BridgeVlan {
  readonly ifindex: number;
  readonly vid: number;
  readonly pvid: boolean;
  readonly untagged: boolean;
}

/** What a bridge counted of a VLAN at a port or at itself (BRIDGE_XSTATS_VLAN); by port only with vlanStatsPerPort. */
export interface BridgeVlanStats extends Pick<LinkStats, "rxPackets" | "rxBytes" | "txPackets" | "txBytes"> {
  readonly ifindex: number;
  readonly vid: number;
}

export interface IpPrefix {
  readonly address: string;
  readonly prefixLength: number;
}

/** What leaves with an address of the host: what the sources send, but to multicast addresses. */
export interface Masquerade {
  /** each with the length of its subnet's prefix */
  readonly sources: readonly IpPrefix[];
  /** what a source with the same prefix length sends within one of these keeps its address */
  readonly subnets: readonly IpPrefix[];
}

export type NetlinkEvent =
  | { readonly type: "link"; readonly link: Link }
  | { readonly type: "link-gone"; readonly ifindex: number; readonly name: string }
  | { readonly type: "address"; readonly address: Address; readonly gone: boolean }
  /** events were lost (ENOBUFS): dump everything again */
  | { readonly type: "overrun" };

/** A network namespace held open by descriptor: checked to be one, never looked up by path again. */
export interface NetnsHandle {
  readonly device: bigint;
  readonly inode: bigint;
  /** the namespace of the calling process's main thread */
  readonly isOwn: boolean;
  close(): void;
}

/**
 * One network namespace with a thread of its own. Calls run there in the order they were made, except deleteLink, which
 * blocks about 20 ms in the kernel and so runs on threads beside it.
 */
export interface Namespace {
  readonly handle: NetnsHandle;
  readonly bpf: Bpf;

  /** `netnsId`: of that namespace; EINVAL if there is none of this id any more */
  links(netnsId?: number): Promise<readonly Link[]>;
  link(ref: LinkRef | PeerRef): Promise<Link | null>;
  createLink(spec: LinkCreate): Promise<CreatedLink>;
  changeLink(ref: LinkRef, settings: LinkSettings): Promise<void>;
  /** of a link in another namespace, in turn with the calls of this one: for a single change that nobody enters it for */
  changeLinkIn(netns: NetnsHandle, ref: LinkRef, settings: LinkSettings): Promise<void>;
  /** Resolves as soon as the link has left its namespace (and a veth's peer the peer's); false if it was not there. */
  deleteLink(ref: LinkRef | PeerRef): Promise<boolean>;

  addresses(ifindex?: number): Promise<readonly Address[]>;
  addAddress(spec: AddressSpec): Promise<void>;
  removeAddress(spec: AddressSpec): Promise<void>;
  routes(): Promise<readonly Route[]>;
  addRoute(spec: RouteSpec): Promise<void>;
  removeRoute(spec: RouteSpec): Promise<void>;
  neighbours(family: number, ifindex?: number): Promise<readonly Neighbour[]>;
  setNeighbour(neighbour: Neighbour): Promise<void>;
  removeNeighbour(neighbour: Neighbour): Promise<void>;
  /** of all links, or of one */
  bridgeVlans(ifindex?: number): Promise<readonly BridgeVlan[]>;
  bridgeVlanStats(): Promise<readonly BridgeVlanStats[]>;
  setBridgeVlans(
    ifindex: number,
    vlans: readonly {
      readonly first: number;
      readonly last: number;
      readonly pvid?: boolean;
      readonly untagged?: boolean;
    }[],
  ): Promise<void>;
  removeBridgeVlans(
    ifindex: number,
    ranges: readonly { readonly first: number; readonly last: number }[],
  ): Promise<void>;

  /** what is in our nftables table; null: it is not there; "changed": it is not as replaceMasquerade makes it */
  masquerade(): Promise<Masquerade | "changed" | null>;
  /** one source of it, in a time that does not depend on the others */
  hasMasqueradeSource(source: IpPrefix): Promise<boolean>;
  /** the whole table anew, in one transaction; without sources it goes */
  replaceMasquerade(all: Masquerade): Promise<void>;
  /** all or nothing; ENOENT: the table, its sets for a prefix length, or what shall go is not there */
  changeMasquerade(add: Masquerade, remove: Masquerade): Promise<void>;

  /** /proc/sys/<path> as this namespace's thread sees it; for keys under net/ only */
  writeSysctl(path: string, value: string): Promise<void>;
  readSysctl(path: string): Promise<string>;

  /** RTMGRP_LINK and the address groups, from now on */
  watch(onEvents: (events: readonly NetlinkEvent[]) => void): Promise<{ close(): Promise<void> }>;
  openPacketSocket(
    options: PacketSocketOptions,
    onFrames: (frames: readonly ReceivedFrame[]) => void,
  ): Promise<PacketSocket>;
  /**
   * The device receives the frames, as if the other side had sent them: by its ingress hook and its master. A tag is
   * part of the frame's bytes. ENETDOWN if it is down.
   */
  receive(ifindex: number, frames: readonly Uint8Array[]): Promise<void>;
  /** The device sends the frames. Resolves some 10 ms after they have left. ENETDOWN if it is down. */
  transmit(ifindex: number, frames: readonly Uint8Array[]): Promise<void>;

  /** messages sent that change something: what "a no-op writes nothing" is checked by */
  readonly writes: { readonly netlink: number; readonly bpf: number };
  close(): Promise<void>;
}

export interface Kernel {
  /** Opens and checks once: throws EINVAL with a clear text if the path is not a network namespace. */
  openNetns(path: string): NetnsHandle;
  ownNetns(): NetnsHandle;
  /** starts the thread that enters it; the handle stays the caller's */
  enter(handle: NetnsHandle): Promise<Namespace>;
  /** makes a namespace and binds it to `path` (a file that it creates), as `ip netns add` does */
  createNetns(path: string): Promise<void>;
  /** unbinds and removes the file; absent is fine */
  removeNetns(path: string): Promise<void>;
  runProgram(call: ProgramCall): Promise<ProgramEnd>;
  isBpffs(path: string): boolean;
  /** mounts a bpffs on an existing directory; fine if there is one already */
  mountBpffs(directory: string): void;
  unmountBpffs(directory: string): void;
  /** an exclusive lock that ends with the process; EAGAIN if another process has it */
  lockDirectory(path: string): { release(): void };
  /** SO_PEERCRED of a connected unix socket */
  peerCredentials(fd: number): { readonly pid: number; readonly uid: number; readonly gid: number };
  /**
   * Takes the connections of a socket that Node listens on before Node does. `take` gets each, with what it has sent so
   * far, null for nothing yet; the descriptor, which does not block, is its own to close.
   */
  acceptCalls(listening: number, take: (connection: number, first: Buffer | null) => void): { close(): void };
  /** possible CPUs: the number of values in a per-CPU map entry */
  readonly cpus: number;
  /** sizes and offsets of the structures in bpf/abi.h, as "struct.field" -> offset and "struct" -> size */
  readonly abi: Readonly<Record<string, number>>;
  /** sd_notify without libsystemd, used where ffi-napi cannot load */
  notify(socketPath: string, message: string): void;
}
