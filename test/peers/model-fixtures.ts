/** Short ways to say what a host and its intent are, for tests of the pure model. */
import type { WorkloadEnds } from "../../daemon/attach/workload-ends.ts";
import type { Address, Link, LinkData } from "../../daemon/kernel/kernel.ts";
import { type Attachment, NO_FEATURES } from "../../daemon/model/attachment.ts";
import { type BondMode, bondData } from "../../daemon/model/bond-options.ts";
import type { CompileInput } from "../../daemon/model/compile.ts";
import type { PortVlans } from "../../daemon/model/port.ts";
import type { BondOptions, HostNetworkConfig, Intent, Network, VlanConfig } from "../../daemon/model/resources.ts";
import type { Switching } from "../../daemon/model/switching.ts";
import { attachmentAlias, type ObservedPort } from "../../daemon/model/target.ts";
import { VlanSet } from "../../daemon/model/vlan-set.ts";
import { link } from "./simulate.ts";

/** where no container is */
export const NO_ENDS: WorkloadEnds = { setMtu: async () => {}, noteIndex: () => {} };

const place = { file: "test.yaml", line: 1, column: 1 };

export function vlanConfig(
  clusterNetwork: string,
  nics: readonly string[],
  uplink: Partial<VlanConfig["uplink"]> = {},
): VlanConfig {
  return {
    name: `${clusterNetwork}-uplink`,
    clusterNetwork,
    description: "",
    nodeSelector: {},
    uplink: {
      nics,
      mtu: 0,
      txQueueLength: -1,
      hardwareAddress: "",
      bond: bond("active-backup"),
      nativeVlan: 1,
      ...uplink,
    },
    place,
  };
}

export function bond(mode: BondMode, given: LinkData = {}, primary = ""): BondOptions {
  return { mode, modeIsGiven: true, data: bondData(mode, given), primary, asked: Object.keys(given) };
}

export function network(name: string, clusterNetwork: string, vlan: number, probed = false): Network {
  return {
    name,
    clusterNetwork,
    type: vlan === 0 ? "UntaggedNetwork" : "L2VlanNetwork",
    vlan,
    trunk: VlanSet.empty,
    ...(probed ? { route: { mode: "manual", cidr: "10.0.0.0/24", gateway: "10.0.0.1" } } : {}),
    portIsolation: false,
    fdbLimit: 0,
    place,
  };
}

/** `given`: "dhcp", or a static one */
export function hostNetwork(
  clusterNetwork: string,
  vlan: number,
  given: string,
  more: Partial<HostNetworkConfig> = {},
): HostNetworkConfig {
  const dhcp = given === "dhcp";
  return {
    name: `${clusterNetwork}-${vlan}`,
    description: "",
    clusterNetwork,
    vlan,
    underlay: false,
    dhcp,
    addresses: dhcp ? [] : [{ address: given, prefixLength: given.includes(":") ? 64 : 24 }],
    hardwareAddress: "",
    place,
    ...more,
  };
}

export function intent(
  clusterNetworks: readonly string[],
  vlanConfigs: readonly VlanConfig[] = [],
  networks: readonly Network[] = [],
  hostNetworkConfigs: readonly HostNetworkConfig[] = [],
): Intent {
  return {
    clusterNetworks: new Map(clusterNetworks.map((name) => [name, { name, place }])),
    vlanConfigs: new Map(vlanConfigs.map((vc) => [vc.clusterNetwork, vc])),
    networks: new Map(networks.map((n) => [n.name, n])),
    hostNetworkConfigs: new Map(hostNetworkConfigs.map((h) => [h.name, h])),
  };
}

export function attachment(
  id: string,
  clusterNetwork: string,
  vlans: PortVlans,
  more: Partial<Attachment> = {},
): Attachment {
  return {
    id,
    containerId: id,
    interface: "eth0",
    netnsPath: `/run/netns/${id}`,
    netns: { device: "4", inode: "1" },
    clusterNetwork,
    network: "net",
    vlans,
    ...NO_FEATURES,
    mac: "02:00:00:00:01:00",
    mtu: 1500,
    mtuAsked: 0,
    hostInterface: `pw${id}`,
    hostIfindex: 0,
    ips: [],
    routes: [],
    state: "ready",
    origin: { kind: "api" },
    createdAt: "2026-01-01T00:00:00.000Z",
    ...more,
  };
}

/** As the attach path makes it. */
export function workloadLink(ifindex: number, of: Attachment): Link {
  const { hostInterface: name, clusterNetwork, network: label, id, mtu } = of;
  const alias = attachmentAlias(clusterNetwork, label, id);
  return link({ ifindex, name, kind: "veth", alias, mtu, up: true, flags: 0x80, link: 2, linkNetnsId: 7 });
}

export function address(ifindex: number, text: string, prefixLength = 24): Address {
  return { ifindex, family: text.includes(":") ? 6 : 4, address: text, prefixLength, scope: 0, flags: 0, protocol: 0 };
}

export const EBPF: Switching = { datapath: "ebpf", vlanFiltering: false, vlanLinks: false, hostKey: "test" };

export function input(of: Partial<CompileInput> & Pick<CompileInput, "intent">): CompileInput {
  const none = { attachments: [], links: [], addresses: [], ports: [], switchIds: new Map(), leases: new Map() };
  return { ...none, bonding: false, switching: EBPF, ...of };
}

export function observedPort(ifindex: number, config: ObservedPort["config"], attached = true): ObservedPort {
  return { ifindex, portId: ifindex, config, attached };
}
