/** Interfaces of the host itself in VLANs of its switches: their links, ports and addresses. Pure. */
import type { ErrorCode } from "../errors.ts";
import { hostPair } from "../links/veth.ts";
import type { TargetAddress } from "./addresses.ts";
import type { Lease } from "./lease.ts";
import { derivedMac } from "./mac.ts";
import { compileHostPort, type SwitchContext } from "./ports.ts";
import { type HostNetworkConfig, hostLinkNames } from "./resources.ts";
import type { TargetLink, TargetPort } from "./target.ts";
import { VlanSet } from "./vlan-set.ts";

export interface HostNetworkWorld {
  readonly context: SwitchContext;
  /** that MAC addresses are derived from: no two hosts have the same */
  readonly hostKey: string;
  /** by device; in force now */
  readonly leases: ReadonlyMap<string, Lease>;
  /** may a link of ours have this name? Says so if not. */
  readonly free: (name: string, object: string) => boolean;
  readonly say: (code: ErrorCode, object: string, message: string) => void;
}

export interface HostNetworkParts {
  readonly links: readonly TargetLink[];
  readonly port: TargetPort;
  readonly device: string;
  readonly addresses: readonly TargetAddress[];
}

/** null: its names are taken */
export function compileHostNetwork(config: HostNetworkConfig, world: HostNetworkWorld): HostNetworkParts | null {
  const { context, free, hostKey, leases, say } = world;
  const { clusterNetwork, vlan } = config;
  const object = hostNetworkObject(config);
  const names = hostLinkNames(clusterNetwork, vlan);
  const isFree = [names.port, names.device].map((name) => free(name, object)).every(Boolean);
  if (!isFree) return null;
  const mac = config.hardwareAddress || derivedMac(`${hostKey} ${names.device}`);
  const pair = hostPair(clusterNetwork, vlan, context.mtu, mac);
  const lease = config.dhcp ? leases.get(names.device) : undefined;
  if (config.dhcp && lease === undefined) {
    say("DHCP_NO_LEASE", object, `${names.device} has no address: no DHCP server has given one in VLAN ${vlan}`);
  }
  const given = lease === undefined ? config.addresses : [lease];
  return {
    links: [pair.port, pair.device],
    port: compileHostPort(vlan, context),
    device: names.device,
    addresses: given.map(({ address, prefixLength }) => ({ address, prefixLength, owner: object })),
  };
}

/** As conditions name it. */
export function hostNetworkObject({ name }: Pick<HostNetworkConfig, "name">): string {
  return `HostNetworkConfig/${name}`;
}

/** VLANs of a cluster network in which the host itself is. */
export function hostVlans(configs: Iterable<HostNetworkConfig>, clusterNetwork: string): VlanSet {
  return VlanSet.from([...configs].filter((one) => one.clusterNetwork === clusterNetwork).map(({ vlan }) => vlan));
}
