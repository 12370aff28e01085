/** Interfaces of the host itself in VLANs of its switches: their links, ports and addresses. Pure. */
import type { ErrorCode } from "../errors.ts";
import { hostPair } from "../links/veth.ts";
import { hostVlan } from "../links/vlan.ts";
import { isSameAddress, type TargetAddress } from "./addresses.ts";
import type { Lease } from "./lease.ts";
import { derivedMac } from "./mac.ts";
import { compileHostPort, type SwitchContext } from "./ports.ts";
import { type HostNetworkConfig, hostLinkNames } from "./resources.ts";
import type { Switching } from "./switching.ts";
import type { TargetLink, TargetPort } from "./target.ts";
import { VlanSet } from "./vlan-set.ts";

export interface HostNetworkWorld {
  readonly context: SwitchContext;
  readonly switching: Switching;
  /** the bridge's name is ours to have */
  readonly hasBridge: boolean;
  /** by device; in force now */
  readonly leases: ReadonlyMap<string, Lease>;
  /** that workloads of the cluster network route by, by VLAN */
  readonly gateways: ReadonlyMap<number, readonly TargetAddress[]>;
  /** may a link of ours have this name? Says so if not. */
  readonly free: (name: string, object: string) => boolean;
  readonly say: (code: ErrorCode, object: string, message: string) => void;
}

export interface HostNetworkParts {
  readonly links: readonly TargetLink[];
  /** null: the bridge's own, which all of them share */
  readonly port: TargetPort | null;
  readonly device: string;
  readonly addresses: readonly TargetAddress[];
}

/** An interface of the host in one VLAN, whoever wants it: a HostNetworkConfig, workloads that route by it, or both. */
interface HostInterface {
  readonly vlan: number;
  readonly hardwareAddress: string;
  /** as conditions name it */
  readonly object: string;
  readonly addresses: readonly TargetAddress[];
}

/** Of one cluster network; those whose names are taken are left out, and said. */
export function compileHostNetworks(
  configs: Iterable<HostNetworkConfig>,
  world: HostNetworkWorld,
): readonly HostNetworkParts[] {
  return hostInterfaces(configs, world).flatMap(({ vlan, hardwareAddress, object, addresses }): HostNetworkParts[] => {
    const { context, free } = world;
    const { clusterNetwork } = context;
    const names = hostLinkNames(clusterNetwork, vlan);
    const { device } = names;
    if (isBridged(hardwareAddress, world)) {
      if (!world.hasBridge || !free(device, object)) return [];
      return [{ links: [hostVlan(clusterNetwork, vlan, context.mtu)], port: null, device, addresses }];
    }
    const isFree = [names.port, device].map((name) => free(name, object)).every(Boolean);
    if (!isFree) return [];
    const mac = hardwareAddress || derivedMac(`${world.switching.hostKey} ${device}`);
    const pair = hostPair(clusterNetwork, vlan, context.mtu, mac);
    return [{ links: [pair.port, pair.device], port: compileHostPort(vlan, context), device, addresses }];
  });
}

/** VLANs in which the bridge itself has to be, for the host's devices on it. */
export function bridgedVlans(configs: Iterable<HostNetworkConfig>, world: HostNetworkWorld): VlanSet {
  if (!world.hasBridge) return VlanSet.empty;
  const own = [...configs].filter(({ clusterNetwork }) => clusterNetwork === world.context.clusterNetwork);
  const hardwareAddresses = new Map(own.map(({ vlan, hardwareAddress }) => [vlan, hardwareAddress]));
  const vlans = new Set([...hardwareAddresses.keys(), ...world.gateways.keys()]);
  return VlanSet.from([...vlans].filter((vlan) => isBridged(hardwareAddresses.get(vlan) ?? "", world)));
}

function hostInterfaces(configs: Iterable<HostNetworkConfig>, world: HostNetworkWorld): readonly HostInterface[] {
  const { clusterNetwork } = world.context;
  const interfaces = new Map<number, HostInterface>();
  for (const config of configs) {
    const { vlan, hardwareAddress } = config;
    if (config.clusterNetwork !== clusterNetwork) continue;
    const addresses = addressesOf(config, hostLinkNames(clusterNetwork, vlan).device, world);
    interfaces.set(vlan, { vlan, hardwareAddress, object: hostNetworkObject(config), addresses });
  }
  for (const [vlan, gateways] of world.gateways) {
    const object = gateways[0]?.owner ?? "";
    const known = interfaces.get(vlan) ?? { vlan, hardwareAddress: "", object, addresses: [] };
    const more = gateways.filter((gateway) => !known.addresses.some((one) => isSameAddress(one, gateway)));
    interfaces.set(vlan, { ...known, addresses: [...known.addresses, ...more] });
  }
  return [...interfaces.values()];
}

/** An 8021q device has the bridge's MAC, and there is one only where the kernel's bridge switches. */
function isBridged(hardwareAddress: string, { context, switching }: HostNetworkWorld): boolean {
  return context.datapath === "bridge" && switching.vlanLinks && hardwareAddress === "";
}

function addressesOf(
  config: HostNetworkConfig,
  device: string,
  { leases, say }: HostNetworkWorld,
): readonly TargetAddress[] {
  const object = hostNetworkObject(config);
  const lease = config.dhcp ? leases.get(device) : undefined;
  if (config.dhcp && lease === undefined) {
    say("DHCP_NO_LEASE", object, `${device} has no address: no DHCP server has given one in VLAN ${config.vlan}`);
  }
  const given = lease === undefined ? config.addresses : [lease];
  return given.map(({ address, prefixLength }) => ({ address, prefixLength, owner: object }));
}

/** As conditions name it. */
export function hostNetworkObject({ name }: Pick<HostNetworkConfig, "name">): string {
  return `HostNetworkConfig/${name}`;
}

/** VLANs of a cluster network in which the host itself is. */
export function hostVlans(configs: Iterable<HostNetworkConfig>, clusterNetwork: string): VlanSet {
  return VlanSet.from([...configs].filter((one) => one.clusterNetwork === clusterNetwork).map(({ vlan }) => vlan));
}
