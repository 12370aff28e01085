/** The host's own interfaces in VLANs, as they are. Pure. */
import type { Address, Link } from "../kernel/kernel.ts";
import { addressText, isDuplicate, isSameAddress, isUsable } from "../model/addresses.ts";
import { hostNetworkObject } from "../model/host-networks.ts";
import type { Lease } from "../model/lease.ts";
import { hostLinkNames } from "../model/resources.ts";
import type { HostNetworkStatus } from "../model/status.ts";
import { isOurs, type Observed, type Target } from "../model/target.ts";
import type { Facts } from "./report.ts";

export interface HostNetworkFacts extends Facts, Observed {
  /** null before the first round */
  readonly target: Target | null;
  readonly leases: ReadonlyMap<string, Lease>;
}

export function hostNetworkStatuses(facts: HostNetworkFacts): readonly HostNetworkStatus[] {
  const { intent, links, addresses, leases, conditions, target } = facts;
  const byName = new Map(links.map((link) => [link.name, link]));
  return [...intent.hostNetworkConfigs.values()].map((config): HostNetworkStatus => {
    const { name, clusterNetwork, vlan, dhcp, underlay } = config;
    const { device } = hostLinkNames(clusterNetwork, vlan);
    const link = byName.get(device);
    const there = addresses.filter(({ ifindex }) => ifindex === link?.ifindex);
    const wanted = target?.addresses.get(device) ?? [];
    const lease = dhcp ? (leases.get(device) ?? null) : null;
    const hasAll = wanted.every((one) => there.some((address) => isSameAddress(address, one) && isUsable(address)));
    const isFaulty = conditions.some(({ object }) => object === hostNetworkObject(config));
    const isThere = link !== undefined && isOurs(link) && link.up && link.carrier && isSwitched(link, facts);
    return {
      name,
      clusterNetwork,
      vlan,
      device,
      mode: dhcp ? "dhcp" : "static",
      underlay,
      mac: link?.mac ?? "",
      mtu: link?.mtu ?? 0,
      addresses: there.map((address) => ({ address: addressText(address), state: stateOf(address) })),
      lease: lease && { server: lease.server, obtainedAt: lease.obtainedAt, expiresAt: lease.expiresAt },
      ready: isThere && hasAll && !isFaulty && target !== null,
    };
  });
}

/** The port by which its frames enter the switch has its program. */
function isSwitched(link: Link, { ports }: Observed): boolean {
  return ports.some(({ ifindex, attached }) => ifindex === link.link && attached);
}

function stateOf(address: Address): "ready" | "tentative" | "duplicate" {
  return isUsable(address) ? "ready" : isDuplicate(address) ? "duplicate" : "tentative";
}
