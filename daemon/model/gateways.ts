/**
 * Addresses that the host has in VLANs of its switches for workloads to route by: which are wanted in which VLAN, and
 * which of those that are there stand in the way of one more. Pure.
 */
import { addressText, isSameAddress, type TargetAddress } from "./addresses.ts";
import type { AttachmentIp, Workload } from "./attachment.ts";
import { contains, familyOf, parseCidr, sameIp } from "./ip.ts";
import { membership, type PortVlans } from "./port.ts";
import { DEFAULT_NATIVE_VLAN } from "./resources.ts";

export type Gateway = Pick<AttachmentIp, "address" | "prefixLength">;
export type Routed = Pick<Workload, "id" | "vlans" | "gateways">;

/** VLAN of the port's untagged frames, which a gateway has to be in; 0: they are dropped, as on a trunk without a native VLAN. */
export function gatewayVlan(vlans: PortVlans, nativeVlan: number): number {
  return membership(vlans, nativeVlan).pvid;
}

/** Of the workloads of one cluster network. One address that several route by is wanted once. */
export function gatewaysByVlan(
  workloads: Iterable<Routed>,
  nativeVlan: number,
): ReadonlyMap<number, readonly TargetAddress[]> {
  const byVlan = new Map<number, TargetAddress[]>();
  for (const { id, vlans, gateways } of workloads) {
    if (gateways.length === 0) continue;
    const vlan = gatewayVlan(vlans, nativeVlan);
    const known = byVlan.get(vlan) ?? [];
    byVlan.set(vlan, known);
    known.push(...missing(known, gateways, id));
  }
  return byVlan;
}

function missing(known: readonly TargetAddress[], gateways: readonly Gateway[], id: string): TargetAddress[] {
  const others = gateways.filter((gateway) => !known.some((one) => isSameAddress(one, gateway)));
  // IPAM vouches for it: the workload is not to wait for duplicate address detection.
  return others.map((one) => ({ ...one, owner: attachmentObject(id), noDad: true }));
}

/** As conditions name it. */
export function attachmentObject(id: string): string {
  return `Attachment/${id}`;
}

/** The same for workloads that are routed alike. */
export function routedKey({ clusterNetwork, vlans, gateways }: Workload): string {
  return [clusterNetwork, vlans.mode, gatewayVlan(vlans, DEFAULT_NATIVE_VLAN), ...gateways.map(addressText)].join(" ");
}

/** The gateways of the one keep those of the other from its VLAN. */
export function isAgainst(one: Workload, other: Workload, nativeVlan: number): boolean {
  const isBeside =
    one.clusterNetwork === other.clusterNetwork &&
    gatewayVlan(one.vlans, nativeVlan) === gatewayVlan(other.vlans, nativeVlan);
  return isBeside && one.gateways.some((a) => other.gateways.some((b) => isInTheWay(a, b)));
}

/**
 * As the stock bridge plugin has it: an interface is in one IPv4 subnet, and in IPv6 subnets that do not overlap. Another
 * address of the same subnet is the host's own there, and in nobody's way.
 */
export function isInTheWay(other: Gateway, gateway: Gateway): boolean {
  const [a, b] = [subnet(other), subnet(gateway)];
  if (a === null || b === null || a.family !== b.family) return false;
  const isInside = contains(a, { family: b.family, value: b.address });
  if (isInside && a.prefixLength === b.prefixLength) return false;
  return a.family === 4 || isInside || contains(b, { family: a.family, value: a.address });
}

function subnet({ address, prefixLength }: Gateway): ReturnType<typeof parseCidr> {
  return parseCidr(`${address}/${prefixLength}`);
}

/** A workload that has the address itself would not find it elsewhere. */
export function isOwnAddress(gateway: Gateway, ips: readonly Gateway[]): boolean {
  return ips.some(({ address }) => sameIp(address, gateway.address));
}

/** Which of the families the host has to forward between its interfaces. */
export function families(gateways: readonly Gateway[]): readonly (4 | 6)[] {
  return [...new Set(gateways.map(({ address }) => familyOf(address)))];
}
