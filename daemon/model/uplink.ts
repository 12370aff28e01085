/** Which NIC carries a cluster network, and why none does. Pure. */
import type { ErrorCode } from "../errors.ts";
import type { Address, Link } from "../kernel/kernel.ts";
import { isLinkLocal, parseIp } from "./ip.ts";
import { DEFAULT_MTU, type VlanConfig } from "./resources.ts";
import type { Condition } from "./target.ts";

export interface UplinkWorld {
  readonly links: readonly Link[];
  readonly addresses: readonly Address[];
  readonly bonding: boolean;
  /** links that are uplink ports now */
  readonly inUse: ReadonlySet<number>;
  /** NICs that were chosen already, with the cluster network that has them */
  readonly taken: ReadonlyMap<number, string>;
}

export interface Uplink {
  /** null: none; the switch goes on without */
  readonly nic: Link | null;
  /** of the whole cluster network */
  readonly mtu: number;
  readonly conditions: readonly Condition[];
}

/**
 * A NIC that is refused is not taken. One that is the uplink already stays it: cutting off all workloads because somebody
 * put an address on the NIC, or asked for too large an MTU, would be the worse fault.
 */
export function chooseUplink(vlanConfig: VlanConfig, world: UplinkWorld): Uplink {
  const { clusterNetwork, name, uplink } = vlanConfig;
  const wanted = uplink.mtu || DEFAULT_MTU;
  const condition = (code: ErrorCode, message: string): Condition => ({
    code,
    object: `ClusterNetwork/${clusterNetwork}`,
    message,
  });
  const none = (code: ErrorCode, message: string): Uplink => {
    return { nic: null, mtu: wanted, conditions: [condition(code, message)] };
  };
  const [nicName] = uplink.nics;
  if (nicName === undefined || uplink.nics.length > 1) {
    const why = world.bonding ? "bonds are not managed yet" : "this kernel has no bonding";
    return none("BONDING_UNSUPPORTED", `VlanConfig ${name} names ${uplink.nics.length} NICs, and ${why}`);
  }
  const nic = world.links.find((link) => link.name === nicName || link.altNames.includes(nicName));
  if (nic === undefined) return none("NIC_ABSENT", `NIC ${nicName} of VlanConfig ${name} is not there`);
  const owner = world.taken.get(nic.ifindex);
  if (owner !== undefined) {
    return none("NIC_SHARED", `NIC ${nicName} of VlanConfig ${name} belongs to ClusterNetwork ${owner} already`);
  }

  const conditions: Condition[] = [];
  if (nic.master !== 0) {
    const master = world.links.find((link) => link.ifindex === nic.master)?.name ?? `index ${nic.master}`;
    conditions.push(condition("NIC_HAS_MASTER", `NIC ${nicName} belongs to ${nic.masterKind || "master"} ${master}`));
  }
  const address = world.addresses.find((a) => a.ifindex === nic.ifindex && !isOwnLinkLocal(a));
  if (address !== undefined) {
    const text = `${address.address}/${address.prefixLength}`;
    conditions.push(condition("NIC_HAS_ADDRESS", `NIC ${nicName} has the address ${text}`));
  }
  const tooLarge = nic.maxMtu > 0 && wanted > nic.maxMtu;
  if (tooLarge) {
    conditions.push(
      condition("MTU_TOO_LARGE", `NIC ${nicName} carries an MTU of ${nic.maxMtu} at most, not ${wanted}`),
    );
  }
  const usable = conditions.length === 0 || world.inUse.has(nic.ifindex);
  // In use and asked for more than it can: everything keeps the MTU that works.
  return { nic: usable ? nic : null, mtu: usable && tooLarge ? nic.mtu : wanted, conditions };
}

/** Every IPv6 interface gives itself one; nobody calls the host by it. */
function isOwnLinkLocal(address: Address): boolean {
  const ip = parseIp(address.address);
  return ip !== null && isLinkLocal(ip);
}
