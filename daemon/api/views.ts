/** The wire's form of what the daemon holds: plain values only, the same names in JSON and protobuf. Pure. */
import type { FdbEntry, PortCounters } from "../datapath/datapath.ts";
import type { ErrorCode, PortwrightError } from "../errors.ts";
import type { Attachment } from "../model/attachment.ts";
import type { PortStatus, Status } from "../model/status.ts";
import type { DeviceRequest, PortwrightEvent } from "./backend.ts";

export interface AttachmentView {
  readonly id: string;
  readonly containerId: string;
  readonly interface: string;
  readonly netnsPath: string;
  /** absent: the port is in the host's alone */
  readonly netns?: { readonly device: string; readonly inode: string };
  readonly clusterNetwork: string;
  readonly network: string;
  readonly vlans: {
    readonly mode: string;
    readonly vlan?: number;
    readonly tagged?: string;
    readonly native?: number;
    readonly defaultVlan?: boolean;
  };
  readonly device: DeviceRequest;
  readonly isolated: boolean;
  readonly fdbLimit: number;
  readonly hairpin: boolean;
  readonly spoofCheck: boolean;
  readonly masquerade: boolean;
  readonly containerDown: boolean;
  readonly mac: string;
  readonly mtu: number;
  readonly hostInterface: string;
  readonly hostIfindex: number;
  readonly ips: readonly { readonly address: string; readonly prefixLength: number; readonly gateway?: string }[];
  readonly routes: readonly {
    readonly destination: string;
    readonly prefixLength: number;
    readonly gateway?: string;
  }[];
  readonly state: "pending" | "ready" | "gated";
  readonly origin: "api" | "cni";
  readonly createdAt: string;
}

export function attachmentView(a: Attachment): AttachmentView {
  return {
    id: a.id,
    containerId: a.containerId,
    interface: a.interface,
    netnsPath: a.netnsPath,
    ...(a.netnsPath === "" ? {} : { netns: { device: a.netns.device, inode: a.netns.inode } }),
    clusterNetwork: a.clusterNetwork,
    network: a.network,
    vlans: a.vlans.mode === "trunk" ? { ...a.vlans, tagged: a.vlans.tagged.toString() } : a.vlans,
    device: deviceView(a),
    isolated: a.isolated,
    fdbLimit: a.fdbLimit,
    hairpin: a.hairpin,
    spoofCheck: a.spoofCheck,
    masquerade: a.masquerade,
    containerDown: a.containerDown,
    mac: a.mac,
    mtu: a.mtu,
    hostInterface: a.hostInterface,
    hostIfindex: a.hostIfindex,
    ips: a.ips,
    routes: a.routes,
    state: a.state === "ready" && a.gated ? "gated" : a.state,
    origin: a.origin.kind,
    createdAt: a.createdAt,
  };
}

function deviceView({ device, hostInterface }: Attachment): DeviceRequest {
  if (device.kind === "veth") return device;
  if (device.kind === "existing") return device;
  const { queues, owner, group } = device.tap;
  return {
    kind: device.kind,
    queues,
    ...(owner === null ? {} : { owner }),
    ...(group === null ? {} : { group }),
    ...(device.kind === "tap" ? { name: hostInterface } : {}),
  };
}

export interface ErrorView {
  readonly code: ErrorCode;
  readonly message: string;
  readonly help: string;
  readonly place?: { readonly file: string; readonly line: number; readonly column: number };
}

export function errorView(error: PortwrightError): ErrorView {
  const view = { code: error.code, message: error.message, help: error.help };
  return error.place === undefined ? view : { ...view, place: error.place };
}

export type EventView = { readonly time: string } & (
  | { readonly type: "heartbeat" }
  | { readonly type: "attached" | "opened" | "detached"; readonly attachment: AttachmentView }
  | { readonly type: "link-up" | "link-down"; readonly link: { readonly device: string } }
  | {
      readonly type: "probe";
      readonly probe: {
        readonly network: string;
        readonly probe: string;
        readonly success: boolean;
        readonly reason: string;
      };
    }
  | {
      readonly type: "fdb";
      readonly fdb: {
        readonly kind: string;
        readonly mac: string;
        readonly switchId: number;
        readonly vlan: number;
        readonly ifindex: number;
        readonly fromIfindex: number;
      };
    }
  | {
      readonly type: "condition";
      readonly condition: { readonly code: string; readonly object: string; readonly message: string };
    }
);

/** Each type has its detail under one member, as the oneof of the protobuf form. */
export function eventView(event: PortwrightEvent): EventView {
  const { time } = event;
  switch (event.type) {
    case "attached":
    case "opened":
    case "detached":
      return { type: event.type, time, attachment: attachmentView(event.attachment) };
    case "link-up":
    case "link-down":
      return { type: event.type, time, link: { device: event.device } };
    case "probe": {
      const { network, probe, success, reason } = event;
      return { type: "probe", time, probe: { network, probe, success, reason } };
    }
    case "fdb": {
      const { type: kind, mac, switchId, vlan, ifindex, fromIfindex } = event.event;
      return { type: "fdb", time, fdb: { kind, mac, switchId, vlan, ifindex, fromIfindex } };
    }
    case "condition": {
      const { code, object, message } = event;
      return { type: "condition", time, condition: { code, object, message } };
    }
  }
}

export interface PortView extends PortStatus {
  /** null: the datapath does not count this port (yet) */
  readonly counters: Omit<PortCounters, "ifindex"> | null;
}

export function portViews(ports: readonly PortStatus[], counters: readonly PortCounters[]): PortView[] {
  const byIfindex = new Map(counters.map((c) => [c.ifindex, c]));
  return ports.map((port) => {
    const { ifindex: _, ...own } = byIfindex.get(port.ifindex) ?? { ifindex: 0 };
    return { ...port, counters: "portId" in own ? own : null };
  });
}

export interface FdbView {
  readonly mac: string;
  readonly clusterNetwork: string;
  readonly vlan: number;
  readonly device: string;
  readonly ifindex: number;
  readonly static: boolean;
  readonly age: number;
}

/** Names in place of numbers; empty where the switch or the port has gone since. */
export function fdbViews(entries: readonly FdbEntry[], ports: readonly PortStatus[], status: Status): FdbView[] {
  const devices = new Map(ports.map((p) => [p.ifindex, p.device]));
  const switches = new Map(status.clusterNetworks.map((c) => [c.switchId, c.name]));
  return entries.map((e) => ({
    mac: e.mac,
    clusterNetwork: switches.get(e.switchId) ?? "",
    vlan: e.vlan,
    device: devices.get(e.ifindex) ?? "",
    ifindex: e.ifindex,
    static: e.isStatic,
    age: e.age,
  }));
}
