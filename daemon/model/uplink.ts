/**
 * What carries a cluster network: a bond of the NICs that are there, also of a single one; the NIC itself where the
 * kernel has no bonding. And why a NIC does not. Pure.
 */
import type { ErrorCode } from "../errors.ts";
import type { Address, Link } from "../kernel/kernel.ts";
import { isBorrowed } from "./borrowed.ts";
import { isLinkLocal, parseIp } from "./ip.ts";
import { findNics } from "./nic-ref.ts";
import { bondName, DEFAULT_MTU, type VlanConfig } from "./resources.ts";
import { type Condition, isOurs } from "./target.ts";

export interface UplinkWorld {
  readonly links: readonly Link[];
  readonly addresses: readonly Address[];
  readonly bonding: boolean;
  /** links that are uplink ports now */
  readonly inUse: ReadonlySet<number>;
  /** NICs that were chosen already, with the cluster network that has them */
  readonly taken: ReadonlyMap<number, string>;
  /** the cluster network's bridge was taken over, and is left with what is in it */
  readonly adopted?: { readonly mtu: number };
}

export interface Uplink {
  readonly kind: "none" | "nic" | "bond";
  /** usable, in the order of the intent; one for "nic", any number for "bond" */
  readonly nics: readonly Link[];
  /** index of the NIC that the bond prefers; 0: none, or not there */
  readonly primary: number;
  /** of the whole cluster network */
  readonly mtu: number;
  readonly conditions: readonly Condition[];
}

interface Fault {
  readonly code: ErrorCode;
  readonly message: string;
}

interface Examined {
  readonly text: string;
  readonly nic: Link | null;
  readonly faults: readonly Fault[];
  readonly isUsable: boolean;
  /** carries the cluster network now */
  readonly isIn: boolean;
}

/**
 * A NIC that is refused is not taken. One that is in the uplink already stays in it: cutting off all workloads because
 * somebody put an address on the NIC, or asked for too large an MTU, would be the worse fault.
 */
export function chooseUplink(vlanConfig: VlanConfig, world: UplinkWorld): Uplink {
  const { clusterNetwork, name, uplink } = vlanConfig;
  const wanted = uplink.mtu || world.adopted?.mtu || DEFAULT_MTU;
  const cannotBond = !world.bonding && uplink.nics.length > 1;
  if (cannotBond) {
    const message = `VlanConfig ${name} names ${uplink.nics.length} NICs, and this kernel has no bonding`;
    const object = `ClusterNetwork/${clusterNetwork}`;
    const conditions = [{ code: "BONDING_UNSUPPORTED", object, message }];
    return { kind: "none", nics: [], primary: 0, mtu: wanted, conditions };
  }
  const bond = world.links.find((link) => link.name === bondName(clusterNetwork) && (isOurs(link) || world.adopted));
  const chosen = new Map(world.taken);
  const all = uplink.nics.map((text) => {
    const examined = examine(text, vlanConfig, { ...world, taken: chosen }, bond);
    if (examined.nic && examined.isUsable) chosen.set(examined.nic.ifindex, clusterNetwork);
    return examined;
  });
  const nics = all.flatMap(({ nic, isUsable }) => (nic && isUsable ? [nic] : []));
  // In use and asked for more than a NIC can: everything keeps the MTU that works.
  const small = all.find(({ nic, isIn }) => nic && isIn && isTooLarge(wanted, nic))?.nic;
  // One NIC of several that is missing does not make the network unready.
  const object = nics.length > 0 && world.bonding && !small ? `VlanConfig/${name}` : `ClusterNetwork/${clusterNetwork}`;
  const conditions = all.flatMap(({ faults }) => faults.map((fault) => ({ ...fault, object })));
  return {
    kind: world.bonding ? "bond" : nics.length > 0 ? "nic" : "none",
    nics,
    primary: nics.find((nic) => findNics(uplink.bond.primary, [nic]).length > 0)?.ifindex ?? 0,
    mtu: small ? (bond?.mtu ?? small.mtu) : wanted,
    conditions,
  };
}

function examine(text: string, vlanConfig: VlanConfig, world: UplinkWorld, bond: Link | undefined): Examined {
  const { name, uplink } = vlanConfig;
  const none = (code: ErrorCode, message: string): Examined => {
    return { text, nic: null, faults: [{ code, message }], isUsable: false, isIn: false };
  };
  const [nic, ...others] = findNics(text, world.links);
  if (nic === undefined) return none("NIC_ABSENT", `NIC ${text} of VlanConfig ${name} is not there`);
  if (others.length > 0) {
    const names = [nic, ...others].map((link) => link.name).join(", ");
    return none("NIC_AMBIGUOUS", `NIC ${text} of VlanConfig ${name} could be any of ${names}`);
  }
  const owner = world.taken.get(nic.ifindex);
  if (owner !== undefined) {
    return none("NIC_SHARED", `NIC ${text} of VlanConfig ${name} belongs to ClusterNetwork ${owner} already`);
  }
  if (isBorrowed(nic)) return none("NIC_SHARED", `NIC ${text} of VlanConfig ${name} is a workload's port now`);
  const faults: Fault[] = [];
  const isMember = bond !== undefined && nic.master === bond.ifindex;
  const isIn = isMember || world.inUse.has(nic.ifindex);
  const master = world.links.find((link) => link.ifindex === nic.master);
  // A NIC that moves from one cluster network to another is still in a bond of ours, or a port of a bridge of ours.
  const isOwn = master !== undefined && (master.kind === "bond" || master.kind === "bridge") && isOurs(master);
  if (nic.master !== 0 && !isMember && !isOwn) {
    const masterName = master?.name ?? `index ${nic.master}`;
    faults.push({
      code: "NIC_HAS_MASTER",
      message: `NIC ${text} belongs to ${nic.masterKind || "master"} ${masterName}`,
    });
  }
  const address = world.addresses.find((a) => a.ifindex === nic.ifindex && !isOwnLinkLocal(a));
  if (address !== undefined) {
    const { address: ip, prefixLength } = address;
    faults.push({ code: "NIC_HAS_ADDRESS", message: `NIC ${text} has the address ${ip}/${prefixLength}` });
  }
  const wanted = uplink.mtu || world.adopted?.mtu || DEFAULT_MTU;
  if (isTooLarge(wanted, nic)) {
    const message = `NIC ${text} carries an MTU of ${nic.maxMtu} at most, not ${wanted}`;
    faults.push({ code: "MTU_TOO_LARGE", message });
  }
  return { text, nic, faults, isUsable: faults.length === 0 || isIn, isIn };
}

function isTooLarge(mtu: number, nic: Link): boolean {
  return nic.maxMtu > 0 && mtu > nic.maxMtu;
}

/** Every IPv6 interface gives itself one; nobody calls the host by it. */
function isOwnLinkLocal(address: Address): boolean {
  const ip = parseIp(address.address);
  return ip !== null && isLinkLocal(ip);
}
