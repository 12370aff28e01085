/**
 * JSON Schemas of what can be read: status, ports, networks, FDB, health. An answer has the members of its schema and no
 * others, so the compiler checks that every member of the model has one.
 */
import type { PortCounters, VlanCounters } from "../../datapath/datapath.ts";
import type { ProbeReport } from "../../model/probe.ts";
import type {
  ClusterNetworkStatus,
  MemberStatus,
  HostNetworkStatus,
  NetworkStatus,
  Status,
} from "../../model/status.ts";
import type { Condition } from "../../model/target.ts";
import type { FdbView, PortView } from "../views.ts";
import { transactionSchema } from "./transaction.ts";

type Members<T> = Readonly<Record<keyof T, object>>;

const text = { type: "string" } as const;
const flag = { type: "boolean" } as const;
const integer = { type: "integer" } as const;
const number = { type: "number" } as const;
/** may pass 2^53: read it with a parser that keeps integers whole */
const counter = { type: "integer", format: "int64", minimum: 0 } as const;

const probeSchema = {
  type: "object",
  additionalProperties: false,
  properties: {
    network: text,
    probe: text,
    gateway: text,
    success: flag,
    reason: { type: ["string", "null"] },
    detail: text,
    rtt: { type: ["number", "null"], description: "s" },
    lastAttempt: { type: ["string", "null"] },
    lastSuccess: { type: ["string", "null"] },
    attempts: integer,
    failures: integer,
  } satisfies Members<ProbeReport>,
} as const;

export const networkSchema = {
  type: "object",
  additionalProperties: false,
  properties: {
    name: text,
    clusterNetwork: text,
    type: text,
    vlan: integer,
    trunk: text,
    mtu: integer,
    up: flag,
    ports: integer,
    probes: { type: "array", items: probeSchema },
  } satisfies Members<NetworkStatus>,
} as const;

const memberSchema = {
  type: "object",
  additionalProperties: false,
  properties: {
    nic: text,
    device: text,
    state: { type: "string", enum: ["absent", "refused", "down", "no-carrier", "waiting", "backup", "active"] },
    mac: text,
    partner: text,
    failures: integer,
  } satisfies Members<MemberStatus>,
} as const;

const clusterNetworkSchema = {
  type: "object",
  additionalProperties: false,
  properties: {
    name: text,
    switchId: integer,
    bridge: text,
    uplink: text,
    uplinkKind: { type: "string", enum: ["none", "nic", "bond"] },
    bondMode: { ...text, description: "empty: there is no bond" },
    members: { type: "array", items: memberSchema },
    ready: flag,
    mtu: integer,
    nativeVlan: integer,
  } satisfies Members<ClusterNetworkStatus>,
} as const;

const hostNetworkSchema = {
  type: "object",
  additionalProperties: false,
  properties: {
    name: text,
    clusterNetwork: text,
    vlan: integer,
    device: text,
    mode: { type: "string", enum: ["static", "dhcp"] },
    underlay: flag,
    mac: text,
    mtu: integer,
    addresses: {
      type: "array",
      items: {
        type: "object",
        additionalProperties: false,
        properties: { address: text, state: { type: "string", enum: ["ready", "tentative", "duplicate"] } },
      },
    },
    lease: {
      type: ["object", "null"],
      additionalProperties: false,
      properties: { server: text, obtainedAt: text, expiresAt: text },
    },
    ready: flag,
  } satisfies Members<HostNetworkStatus>,
} as const;

export const statusSchema = {
  type: "object",
  additionalProperties: false,
  properties: {
    version: text,
    netns: text,
    startedAt: text,
    http: text,
    datapath: {
      type: "object",
      additionalProperties: false,
      properties: { kind: { type: "string", enum: ["ebpf", "bridge"] }, rung: text, reason: text },
    },
    ready: flag,
    configGeneration: {
      type: "object",
      additionalProperties: false,
      properties: { desired: integer, applied: integer },
    },
    clusterNetworks: { type: "array", items: clusterNetworkSchema },
    networks: { type: "array", items: networkSchema },
    hostNetworks: { type: "array", items: hostNetworkSchema },
    conditions: {
      type: "array",
      items: {
        type: "object",
        additionalProperties: false,
        properties: { code: text, object: text, message: text } satisfies Members<Condition>,
      },
    },
    transaction: transactionSchema,
  } satisfies Members<Status>,
} as const;

export const networksSchema = {
  type: "object",
  additionalProperties: false,
  properties: {
    clusterNetworks: { type: "array", items: clusterNetworkSchema },
    networks: { type: "array", items: networkSchema },
  },
} as const;

const countersSchema = {
  type: ["object", "null"],
  additionalProperties: false,
  properties: {
    portId: integer,
    vlans: {
      type: "array",
      items: {
        type: "object",
        additionalProperties: false,
        properties: {
          vlan: integer,
          rxPackets: counter,
          rxBytes: counter,
          txPackets: counter,
          txBytes: counter,
        } satisfies Members<VlanCounters>,
      },
    },
    drops: { type: "object", additionalProperties: counter, description: "by reason" },
    floodPackets: counter,
    fdbMoves: counter,
    fdbLimitHits: counter,
    fdbFull: counter,
    learned: integer,
  } satisfies Members<Omit<PortCounters, "ifindex">>,
} as const;

export const portsSchema = {
  type: "object",
  additionalProperties: false,
  properties: {
    ports: {
      type: "array",
      items: {
        type: "object",
        additionalProperties: false,
        properties: {
          device: text,
          ifindex: integer,
          role: { type: "string", enum: ["uplink", "probe", "host", "workload"] },
          clusterNetwork: text,
          network: text,
          attachment: text,
          pvid: integer,
          allowed: text,
          untagged: text,
          mtu: integer,
          up: flag,
          carrier: flag,
          attached: flag,
          counters: countersSchema,
        } satisfies Members<PortView>,
      },
    },
  },
} as const;

export const fdbSchema = {
  type: "object",
  additionalProperties: false,
  properties: {
    fdb: {
      type: "array",
      items: {
        type: "object",
        additionalProperties: false,
        properties: {
          mac: text,
          clusterNetwork: text,
          vlan: integer,
          device: text,
          ifindex: integer,
          static: flag,
          age: { ...number, description: "s since it was last seen" },
        } satisfies Members<FdbView>,
      },
    },
  },
} as const;

export const healthSchema = {
  type: "object",
  additionalProperties: false,
  properties: { ok: flag, reasons: { type: "array", items: text } },
} as const;
