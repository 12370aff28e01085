/** A network namespace over the addon: rtnetlink, sysctls and events. The work is in native/addon/. */
import type { Bpf } from "./bpf.ts";
import type {
  Address,
  AddressSpec,
  BridgeVlan,
  BridgeVlanStats,
  CreatedLink,
  Link,
  LinkCreate,
  LinkRef,
  LinkSettings,
  IpPrefix,
  Masquerade,
  Namespace,
  Neighbour,
  NetlinkEvent,
  NetnsHandle,
  PacketSocket,
  PacketSocketOptions,
  PeerRef,
  ReceivedFrame,
  Route,
  RouteSpec,
} from "./kernel.ts";
import { type BpfAddon, NativeBpf } from "./native-bpf.ts";
import { ignoreClosed, native } from "./native-error.ts";
import { type EventRow, eventOf, linkOf, type LinkRow } from "./native-link.ts";
import { openNativePacketSocket, type PacketAddon } from "./native-packet.ts";

/** The object that the addon's enter() gives. */
type Ns = object;
type Vlans = readonly { first: number; last: number; pvid?: boolean; untagged?: boolean }[];

/** The functions that address one entered namespace. */
export interface NamespaceAddon {
  links(ns: Ns, netnsId?: number): Promise<LinkRow[]>;
  link(ns: Ns, ref: LinkRef | PeerRef): Promise<LinkRow | null>;
  createLink(ns: Ns, spec: LinkCreate): Promise<CreatedLink>;
  changeLink(ns: Ns, ref: LinkRef, settings: LinkSettings): Promise<void>;
  changeLinkIn(ns: Ns, netns: NetnsHandle, ref: LinkRef, settings: LinkSettings): Promise<void>;
  deleteLink(ns: Ns, ref: LinkRef | PeerRef): Promise<boolean>;
  addresses(ns: Ns, ifindex?: number): Promise<Address[]>;
  addAddress(ns: Ns, spec: AddressSpec): Promise<void>;
  removeAddress(ns: Ns, spec: AddressSpec): Promise<void>;
  routes(ns: Ns): Promise<Route[]>;
  addRoute(ns: Ns, spec: RouteSpec): Promise<void>;
  removeRoute(ns: Ns, spec: RouteSpec): Promise<void>;
  neighbours(ns: Ns, family: number, ifindex?: number): Promise<Neighbour[]>;
  setNeighbour(ns: Ns, neighbour: Neighbour): Promise<void>;
  removeNeighbour(ns: Ns, neighbour: Neighbour): Promise<void>;
  bridgeVlans(ns: Ns, ifindex?: number): Promise<BridgeVlan[]>;
  bridgeVlanStats(ns: Ns): Promise<BridgeVlanStats[]>;
  setBridgeVlans(ns: Ns, ifindex: number, vlans: Vlans): Promise<void>;
  removeBridgeVlans(ns: Ns, ifindex: number, ranges: Vlans): Promise<void>;
  masquerade(ns: Ns): Promise<Masquerade | "changed" | null>;
  hasMasqueradeSource(ns: Ns, source: IpPrefix): Promise<boolean>;
  replaceMasquerade(ns: Ns, all: Masquerade): Promise<void>;
  changeMasquerade(ns: Ns, add: Masquerade, remove: Masquerade): Promise<void>;
  writeSysctl(ns: Ns, path: string, value: string): Promise<void>;
  readSysctl(ns: Ns, path: string): Promise<string>;
  receive(ns: Ns, ifindex: number, frames: readonly Uint8Array[]): Promise<void>;
  transmit(ns: Ns, ifindex: number, frames: readonly Uint8Array[]): Promise<void>;
  watch(ns: Ns, listener: (events: EventRow[]) => void, receiveBuffer?: number): Promise<number>;
  unwatch(ns: Ns, id: number): Promise<void>;
  writes(ns: Ns): { netlink: number; bpf: number };
  closeNamespace(ns: Ns): Promise<void>;
}

export class NativeNamespace implements Namespace {
  readonly handle: NetnsHandle;
  readonly bpf: Bpf;
  readonly #addon: NamespaceAddon & PacketAddon;
  readonly #ns: Ns;

  constructor(addon: NamespaceAddon & PacketAddon & BpfAddon, ns: Ns, handle: NetnsHandle) {
    this.#addon = addon;
    this.#ns = ns;
    this.handle = handle;
    this.bpf = new NativeBpf(addon, ns);
  }

  async links(netnsId?: number): Promise<readonly Link[]> {
    return (await native(() => this.#addon.links(this.#ns, netnsId))).map(linkOf);
  }

  async link(ref: LinkRef | PeerRef): Promise<Link | null> {
    const row = await native(() => this.#addon.link(this.#ns, ref));
    return row && linkOf(row);
  }

  createLink(spec: LinkCreate): Promise<CreatedLink> {
    return native(() => this.#addon.createLink(this.#ns, spec));
  }

  changeLink(ref: LinkRef, settings: LinkSettings): Promise<void> {
    return native(() => this.#addon.changeLink(this.#ns, ref, settings));
  }

  changeLinkIn(netns: NetnsHandle, ref: LinkRef, settings: LinkSettings): Promise<void> {
    return native(() => this.#addon.changeLinkIn(this.#ns, netns, ref, settings));
  }

  deleteLink(ref: LinkRef | PeerRef): Promise<boolean> {
    return native(() => this.#addon.deleteLink(this.#ns, ref));
  }

  addresses(ifindex?: number): Promise<readonly Address[]> {
    return native(() => this.#addon.addresses(this.#ns, ifindex));
  }

  addAddress(spec: AddressSpec): Promise<void> {
    return native(() => this.#addon.addAddress(this.#ns, spec));
  }

  removeAddress(spec: AddressSpec): Promise<void> {
    return native(() => this.#addon.removeAddress(this.#ns, spec));
  }

  routes(): Promise<readonly Route[]> {
    return native(() => this.#addon.routes(this.#ns));
  }

  addRoute(spec: RouteSpec): Promise<void> {
    return native(() => this.#addon.addRoute(this.#ns, spec));
  }

  removeRoute(spec: RouteSpec): Promise<void> {
    return native(() => this.#addon.removeRoute(this.#ns, spec));
  }

  neighbours(family: number, ifindex?: number): Promise<readonly Neighbour[]> {
    return native(() => this.#addon.neighbours(this.#ns, family, ifindex));
  }

  setNeighbour(neighbour: Neighbour): Promise<void> {
    return native(() => this.#addon.setNeighbour(this.#ns, neighbour));
  }

  removeNeighbour(neighbour: Neighbour): Promise<void> {
    return native(() => this.#addon.removeNeighbour(this.#ns, neighbour));
  }

  bridgeVlans(ifindex?: number): Promise<readonly BridgeVlan[]> {
    return native(() => this.#addon.bridgeVlans(this.#ns, ifindex));
  }

  bridgeVlanStats(): Promise<readonly BridgeVlanStats[]> {
    return native(() => this.#addon.bridgeVlanStats(this.#ns));
  }

  setBridgeVlans(ifindex: number, vlans: Vlans): Promise<void> {
    return native(() => this.#addon.setBridgeVlans(this.#ns, ifindex, vlans));
  }

  removeBridgeVlans(ifindex: number, ranges: readonly { first: number; last: number }[]): Promise<void> {
    return native(() => this.#addon.removeBridgeVlans(this.#ns, ifindex, ranges));
  }

  masquerade(): Promise<Masquerade | "changed" | null> {
    return native(() => this.#addon.masquerade(this.#ns));
  }

  hasMasqueradeSource(source: IpPrefix): Promise<boolean> {
    return native(() => this.#addon.hasMasqueradeSource(this.#ns, source));
  }

  replaceMasquerade(all: Masquerade): Promise<void> {
    return native(() => this.#addon.replaceMasquerade(this.#ns, all));
  }

  changeMasquerade(add: Masquerade, remove: Masquerade): Promise<void> {
    return native(() => this.#addon.changeMasquerade(this.#ns, add, remove));
  }

  writeSysctl(path: string, value: string): Promise<void> {
    return native(() => this.#addon.writeSysctl(this.#ns, path, value));
  }

  readSysctl(path: string): Promise<string> {
    return native(() => this.#addon.readSysctl(this.#ns, path));
  }

  /** `receiveBuffer` in bytes: what the kernel holds while JavaScript is busy; default 8 MiB. */
  async watch(
    onEvents: (events: readonly NetlinkEvent[]) => void,
    receiveBuffer?: number,
  ): Promise<{ close(): Promise<void> }> {
    const listener = (rows: EventRow[]): void => onEvents(rows.map(eventOf));
    const id = await native(() => this.#addon.watch(this.#ns, listener, receiveBuffer));
    return { close: () => ignoreClosed(native(() => this.#addon.unwatch(this.#ns, id))) };
  }

  openPacketSocket(
    options: PacketSocketOptions,
    onFrames: (frames: readonly ReceivedFrame[]) => void,
  ): Promise<PacketSocket> {
    return openNativePacketSocket(this.#addon, this.#ns, options, onFrames);
  }

  receive(ifindex: number, frames: readonly Uint8Array[]): Promise<void> {
    return native(() => this.#addon.receive(this.#ns, ifindex, frames));
  }

  transmit(ifindex: number, frames: readonly Uint8Array[]): Promise<void> {
    return native(() => this.#addon.transmit(this.#ns, ifindex, frames));
  }

  get writes(): { readonly netlink: number; readonly bpf: number } {
    return this.#addon.writes(this.#ns);
  }

  close(): Promise<void> {
    return native(() => this.#addon.closeNamespace(this.#ns));
  }
}
