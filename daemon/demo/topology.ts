/** What the demo is made of: names, VLANs, addresses, and who must reach whom. Data only. */

export const UPLINK = "uplink0";
export const SWITCH_TRUNK = "trunk0";
/** VLAN of untagged frames between host and switch */
export const NATIVE_VLAN = 1;

export interface Gateway {
  readonly name: string;
  readonly vlan: number;
  readonly address: string;
}

export const gateways: readonly Gateway[] = [
  { name: "gw-100", vlan: 100, address: "10.100.0.1" },
  { name: "gw-200", vlan: 200, address: "10.200.0.1" },
  { name: "gw-untagged", vlan: NATIVE_VLAN, address: "10.1.0.1" },
];

/** One workload and the network configuration that a container runtime would pass for it. */
export interface Workload {
  readonly name: string;
  readonly networkName: string;
  /** keys of the bridge plugin's configuration; the same file works there */
  readonly netconf: Readonly<Record<string, unknown>>;
  /** VLAN -> address; a trunk workload has one in each */
  readonly addresses: ReadonlyMap<number, string>;
  readonly tagged: boolean;
}

export const workloads: readonly Workload[] = [
  access("web-1", "vlan100", 100, "10.100.0.11"),
  access("web-2", "vlan100", 100, "10.100.0.12"),
  access("db-1", "vlan200", 200, "10.200.0.11"),
  {
    name: "legacy",
    networkName: "untagged",
    netconf: { bridge: "oob-br", ipam: staticIpam("10.1.0.11") },
    addresses: new Map([[NATIVE_VLAN, "10.1.0.11"]]),
    tagged: false,
  },
  {
    name: "router",
    networkName: "trunk",
    netconf: { bridge: "oob-br", vlanTrunk: [{ id: 100 }, { id: 200 }] },
    addresses: new Map([
      [100, "10.100.0.13"],
      [200, "10.200.0.13"],
    ]),
    tagged: true,
  },
];

export const CONTAINER_INTERFACE = "eth0";

function access(name: string, networkName: string, vlan: number, address: string): Workload {
  return {
    name,
    networkName,
    netconf: { bridge: "oob-br", vlan, ipam: staticIpam(address) },
    addresses: new Map([[vlan, address]]),
    tagged: false,
  };
}

/**
 * Every address of the demo is on link, whatever its VLAN: an ARP request for another VLAN's address is really sent, and
 * only the switch stands between the two.
 */
function staticIpam(address: string): Readonly<Record<string, unknown>> {
  return { type: "static", addresses: [{ address: `${address}/8` }] };
}

/** One place to ping from or to. */
export interface Endpoint {
  readonly label: string;
  readonly owner: string;
  readonly vlan: number;
  readonly address: string;
  readonly tagged: boolean;
}

export const endpoints: readonly Endpoint[] = workloads.flatMap(({ name, addresses, tagged }) =>
  [...addresses].map(([vlan, address]) => ({
    label: tagged ? `${name}.${vlan}` : name,
    owner: name,
    vlan,
    address,
    tagged,
  })),
);

export const targets: readonly Endpoint[] = [
  ...endpoints,
  ...gateways.map(({ name, vlan, address }) => ({ label: name, owner: name, vlan, address, tagged: false })),
];

/** The whole policy: one VLAN is one network. */
export function mustReach(from: Endpoint, to: Endpoint): boolean {
  return from.vlan === to.vlan;
}
