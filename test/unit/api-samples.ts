/** What a daemon might answer, for API tests. */
import type { AttachRequest } from "../../daemon/api/backend.ts";
import type { PortCounters } from "../../daemon/datapath/datapath.ts";
import { type Attachment, NO_FEATURES } from "../../daemon/model/attachment.ts";
import type { PortStatus, Status } from "../../daemon/model/status.ts";
import { VlanSet } from "../../daemon/model/vlan-set.ts";

/** Long enough past 2^53 that a double would not hold it. */
export const HUGE = 9_007_199_254_740_993n;

export function port(device: string, ifindex: number): PortStatus {
  return {
    device,
    ifindex,
    role: "workload",
    clusterNetwork: "oob",
    network: "vlan100",
    attachment: "c1/eth0",
    pvid: 100,
    allowed: "100",
    untagged: "100",
    mtu: 1500,
    up: true,
    carrier: true,
    attached: true,
  };
}

export function counters(ifindex: number): PortCounters {
  return {
    ifindex,
    portId: 1,
    vlans: [{ vlan: 100, rxPackets: 10n, rxBytes: HUGE, txPackets: 20n, txBytes: 2000n }],
    drops: { vlan_not_allowed: 3n, mtu: 0n, port_down: 0n },
    floodPackets: 4n,
    fdbMoves: 5n,
    fdbLimitHits: 6n,
    fdbFull: 0n,
    learned: 1,
  };
}

export const status: Status = {
  version: "0.1.0",
  netns: "/run/netns/<host>",
  startedAt: "2026-01-01T00:00:00.000Z",
  http: "http://127.0.0.1:9469",
  datapath: { kind: "ebpf", rung: "tcx+peer", reason: "" },
  ready: true,
  configGeneration: { desired: 2, applied: 1 },
  hostNetworks: [
    {
      name: "storage",
      clusterNetwork: "oob",
      vlan: 200,
      device: "oob-br.200",
      mode: "dhcp",
      underlay: false,
      mac: "02:00:00:00:02:00",
      mtu: 1500,
      addresses: [{ address: "10.200.0.5/24", state: "ready" }],
      lease: {
        server: "10.200.0.1",
        obtainedAt: "2026-01-01T00:00:00.000Z",
        expiresAt: "2026-01-01T01:00:00.000Z",
      },
      ready: true,
    },
  ],
  clusterNetworks: [
    {
      name: "oob",
      switchId: 0,
      bridge: "oob-br",
      uplink: "nic0",
      uplinkKind: "nic",
      bondMode: "",
      members: [
        { nic: "nic0", device: "nic0", state: "active", mac: "02:00:00:00:00:01", partner: "", failures: 0 },
        { nic: "mac:02:00:00:00:00:09", device: "", state: "absent", mac: "", partner: "", failures: 0 },
      ],
      ready: true,
      mtu: 1500,
      nativeVlan: 1,
    },
  ],
  networks: [
    {
      name: "vlan100",
      clusterNetwork: "oob",
      type: "L2VlanNetwork",
      vlan: 100,
      trunk: "",
      mtu: 1500,
      up: true,
      ports: 1,
      probes: [
        {
          network: "vlan100",
          probe: "arp",
          gateway: "10.0.0.1",
          success: false,
          reason: "no-arp-reply",
          detail: "",
          rtt: null,
          lastAttempt: "2026-01-01T00:00:10.000Z",
          lastSuccess: "2026-01-01T00:00:05.000Z",
          attempts: 2,
          failures: 1,
        },
      ],
    },
  ],
  conditions: [{ code: "NIC_ABSENT", object: "ClusterNetwork/oob", message: "eth9 is not there" }],
  transaction: {
    phase: "waiting",
    id: "c0ffee00",
    origin: "files",
    startedAt: "2026-01-01T00:00:00.000Z",
    secondsLeft: 58,
    last: null,
    generation: 3,
    savedAt: "2026-01-01T00:00:00.000Z",
  },
};

export const attachRequest = {
  network: "vlan100",
  netns: "/run/netns/c1",
  containerId: "c1",
  interface: "eth0",
  mac: "",
  addresses: ["10.0.0.2/24"],
  state: "ready",
} satisfies AttachRequest;

export function attachment(request: AttachRequest): Attachment {
  return {
    id: `${request.containerId}/${request.interface ?? ""}`,
    containerId: request.containerId,
    interface: request.interface ?? "",
    netnsPath: request.netns ?? "",
    netns: { device: "4", inode: "4026533000" },
    clusterNetwork: "oob",
    network: request.network,
    vlans: { mode: "trunk", tagged: VlanSet.parse("100,200-210"), native: 1 },
    ...NO_FEATURES,
    gated: request.state === "gated",
    mac: request.mac || "02:00:00:00:00:01",
    mtu: 1500,
    mtuAsked: 0,
    hostInterface: "pwveth1",
    hostIfindex: 7,
    ips: [{ address: "10.0.0.2", prefixLength: 24 }],
    routes: [],
    state: "ready",
    origin: { kind: "api" },
    createdAt: "2026-01-01T00:00:00.000Z",
  };
}
