/** Rules between resources: names that are taken, names that lead nowhere, values that must agree. */
import { type ErrorCode, PortwrightError } from "../errors.ts";
import {
  bondName,
  bridgeName,
  DEFAULT_MTU,
  type HostNetworkConfig,
  hostLinkNames,
  type Intent,
  type Place,
  probeLinkNames,
  type VlanConfig,
} from "../model/resources.ts";
import { hostNetworksHere } from "./host-networks.ts";
import type { Located, LocatedNetwork, Resources } from "./parse.ts";
import { type Labels, nodeSelector as selectorOf } from "./node-selector.ts";
import type { Path } from "./source.ts";

export interface Host {
  /** stands for the label kubernetes.io/hostname unless that is given */
  readonly nodeName: string;
  readonly nodeLabels: Readonly<Record<string, string>>;
}

const CLUSTER_NETWORK: Path = ["spec", "clusterNetwork"];
const NICS: Path = ["spec", "uplink", "nics"];
const MTU: Path = ["spec", "uplink", "linkAttributes", "mtu"];

export function toIntent(resources: Resources, host: Host, errors: PortwrightError[]): Intent {
  const say = (code: ErrorCode, message: string, place: Place): void => {
    errors.push(new PortwrightError(code, message, { place }));
  };
  const clusterNetworks = unique("ClusterNetwork", resources.clusterNetworks, say);
  const allVlanConfigs = [...unique("VlanConfig", resources.vlanConfigs, say).values()];
  const networks = unique<LocatedNetwork>("Network", resources.networks, say);
  for (const { resource, at } of allVlanConfigs) {
    reference(`VlanConfig ${resource.name}`, resource.clusterNetwork, at(CLUSTER_NETWORK));
  }
  for (const { resource, clusterNetworkPlace } of networks.values()) {
    reference(`Network ${resource.name}`, resource.clusterNetwork, clusterNetworkPlace);
  }
  const allHostNetworks = [...unique("HostNetworkConfig", resources.hostNetworks, say).values()];
  for (const { resource, at } of allHostNetworks) {
    reference(`HostNetworkConfig ${resource.name}`, resource.clusterNetwork, at(CLUSTER_NETWORK));
  }
  const mtus = sameMtu(allVlanConfigs, say);
  networkMtus(networks.values(), mtus, say);
  const labels = { "kubernetes.io/hostname": host.nodeName, ...host.nodeLabels };
  const vlanConfigs = onThisHost(allVlanConfigs, labels, say);
  const hostNetworks = hostNetworksHere(allHostNetworks, { nodeName: host.nodeName, labels }, mtus, say);
  ownNics(vlanConfigs, resources.declared, plain(hostNetworks), say);
  return {
    clusterNetworks: plain(clusterNetworks),
    vlanConfigs: plain(vlanConfigs),
    networks: plain(networks),
    hostNetworkConfigs: plain(hostNetworks),
  };

  function reference(who: string, name: string, place: Place): void {
    if (resources.declared.has(name)) return;
    say("INTENT_REFERENCE", `${who} names ClusterNetwork ${name}, which is not defined`, place);
  }
}

type Say = (code: ErrorCode, message: string, place: Place) => void;

function unique<L extends Located<{ readonly name: string; readonly place: Place }>>(
  kind: string,
  all: readonly L[],
  say: Say,
): Map<string, L> {
  const byName = new Map<string, L>();
  for (const one of all) {
    const { name, place } = one.resource;
    const first = byName.get(name);
    if (first === undefined) byName.set(name, one);
    else say("INTENT_DUPLICATE", `${kind} ${name} is defined at ${where(first.resource.place)} already`, place);
  }
  return byName;
}

/** All VlanConfigs of a cluster network have one MTU, on whichever hosts: a network's MTU is its cluster network's. */
function sameMtu(all: readonly Located<VlanConfig>[], say: Say): Map<string, number> {
  const first = new Map<string, Located<VlanConfig>>();
  for (const one of all) {
    const { clusterNetwork } = one.resource;
    const other = first.get(clusterNetwork);
    if (other === undefined) first.set(clusterNetwork, one);
    else if (mtuOf(one.resource) !== mtuOf(other.resource)) {
      const message = `VlanConfig ${one.resource.name} has MTU ${mtuOf(one.resource)}, but VlanConfig ${other.resource.name} of the same ClusterNetwork ${clusterNetwork} has ${mtuOf(other.resource)} (${where(other.at(MTU))})`;
      say("INTENT_INVALID", message, one.at(MTU));
    }
  }
  return new Map([...first].map(([clusterNetwork, { resource }]) => [clusterNetwork, mtuOf(resource)]));
}

function networkMtus(networks: Iterable<LocatedNetwork>, mtus: ReadonlyMap<string, number>, say: Say): void {
  for (const { resource, mtu, mtuPlace } of networks) {
    const uplink = mtus.get(resource.clusterNetwork) ?? DEFAULT_MTU;
    if (mtu === 0 || mtu === uplink) continue;
    const message = `Network ${resource.name} has MTU ${mtu}, but its ClusterNetwork ${resource.clusterNetwork} has ${uplink}`;
    say("INTENT_INVALID", message, mtuPlace);
  }
}

/** At most one VlanConfig of a cluster network applies to a host. */
function onThisHost(all: readonly Located<VlanConfig>[], labels: Labels, say: Say): Map<string, Located<VlanConfig>> {
  const here = new Map<string, Located<VlanConfig>>();
  for (const one of all) {
    const { name, clusterNetwork, nodeSelector } = one.resource;
    if (!selectorOf(nodeSelector)(labels)) continue;
    const first = here.get(clusterNetwork);
    if (first === undefined) here.set(clusterNetwork, one);
    else {
      const message = `VlanConfig ${name} and VlanConfig ${first.resource.name} (${where(first.resource.place)}) both match this host for ClusterNetwork ${clusterNetwork}`;
      say("INTENT_DUPLICATE", message, one.at(CLUSTER_NETWORK));
    }
  }
  return here;
}

/** A NIC belongs to one cluster network, and is not a device that we make. */
function ownNics(
  here: ReadonlyMap<string, Located<VlanConfig>>,
  declared: ReadonlySet<string>,
  hostNetworks: ReadonlyMap<string, HostNetworkConfig>,
  say: Say,
): void {
  const made = new Map<string, string>();
  for (const name of declared) {
    const { port, inner } = probeLinkNames(name);
    for (const device of [bridgeName(name), bondName(name), port, inner]) made.set(device, name);
  }
  for (const { clusterNetwork, vlan } of hostNetworks.values()) {
    const { device, port } = hostLinkNames(clusterNetwork, vlan);
    made.set(device, clusterNetwork).set(port, clusterNetwork);
  }
  const taken = new Map<string, Located<VlanConfig>>();
  for (const one of here.values()) {
    one.resource.uplink.nics.forEach((nic, index) => {
      const place = one.at([...NICS, index]);
      const owner = taken.get(nic);
      if (owner !== undefined && owner !== one) {
        say("NIC_SHARED", `NIC ${nic} belongs to ClusterNetwork ${owner.resource.clusterNetwork} already`, place);
      }
      const maker = made.get(nic);
      if (maker !== undefined) {
        say("INTENT_INVALID", `NIC ${nic} is a device that is made for ClusterNetwork ${maker}`, place);
      }
      taken.set(nic, one);
    });
  }
}

function mtuOf(vlanConfig: VlanConfig): number {
  return vlanConfig.uplink.mtu || DEFAULT_MTU;
}

function plain<T>(located: ReadonlyMap<string, Located<T>>): Map<string, T> {
  return new Map([...located].map(([name, { resource }]) => [name, resource]));
}

function where(place: Place): string {
  return `${place.file}:${place.line}:${place.column}`;
}
