/** Rules for the HostNetworkConfigs of this host, among each other and towards the rest of the intent. */
import type { ErrorCode } from "../errors.ts";
import { familyOf } from "../model/ip.ts";
import { DEFAULT_MTU, type HostNetworkConfig, type Place } from "../model/resources.ts";
import type { HostNetworkDefinition } from "./kinds/host-network-config.ts";
import type { Labels } from "./node-selector.ts";
import type { Located } from "./parse.ts";

type Say = (code: ErrorCode, message: string, place: Place) => void;

/** IPv6 does not run on less (RFC 8200, section 5; IPV6_MIN_MTU). */
const IPV6_MIN_MTU = 1280;

export function hostNetworksHere(
  all: Iterable<Located<HostNetworkDefinition>>,
  host: { readonly nodeName: string; readonly labels: Labels },
  mtus: ReadonlyMap<string, number>,
  say: Say,
): Map<string, Located<HostNetworkConfig>> {
  const here = new Map<string, Located<HostNetworkConfig>>();
  const byVlan = new Map<string, Located<HostNetworkConfig>>();
  for (const { resource: definition, at } of all) {
    const { selector, addressesByNode, ...common } = definition;
    if (!selector(host.labels)) continue;
    const { name, clusterNetwork, vlan } = common;
    const key = `${clusterNetwork} ${vlan}`;
    const other = byVlan.get(key);
    if (other !== undefined) {
      const { file, line, column } = other.resource.place;
      const message = `HostNetworkConfig ${name} and HostNetworkConfig ${other.resource.name} (${file}:${line}:${column}) both match this host for VLAN ${vlan} of ClusterNetwork ${clusterNetwork}`;
      say("INTENT_DUPLICATE", message, at(["spec", "vlanID"]));
      continue;
    }
    const addresses = addressesByNode?.get(host.nodeName) ?? [];
    if (addressesByNode?.has(host.nodeName) === false) {
      const message = `HostNetworkConfig ${name} has mode static and no address for this host, ${host.nodeName}`;
      say("INTENT_INVALID", message, at(["spec", "ips"]));
    }
    const mtu = mtus.get(clusterNetwork) ?? DEFAULT_MTU;
    if (mtu < IPV6_MIN_MTU && addresses.some(({ address }) => familyOf(address) === 6)) {
      const message = `HostNetworkConfig ${name} has an IPv6 address, but ClusterNetwork ${clusterNetwork} has MTU ${mtu}: IPv6 wants at least ${IPV6_MIN_MTU}`;
      say("INTENT_INVALID", message, at(["spec", "hostMultiFamilyIPs"]));
    }
    const located = { resource: { ...common, addresses }, at };
    byVlan.set(key, located);
    here.set(name, located);
  }
  return here;
}
