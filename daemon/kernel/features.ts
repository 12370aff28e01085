/** What this kernel can do, found out by asking for what it must refuse: nothing is made. */
import { isKernelError } from "./kernel-error.ts";
import type { Kernel, LinkKind, Namespace, NetnsHandle } from "./kernel.ts";

export interface KernelFeatures {
  readonly bonding: boolean;
  /** bridges filter VLANs (CONFIG_BRIDGE_VLAN_FILTERING) */
  readonly vlanFiltering: boolean;
  /** 802.1Q devices (CONFIG_VLAN_8021Q) */
  readonly vlanLinks: boolean;
}

/** Once a start: a kernel that has a module loads it on this occasion, and keeps it. */
export async function kernelFeatures(namespace: Pick<Namespace, "createLink">): Promise<KernelFeatures> {
  return {
    bonding: await hasLinkKind(namespace, "bond"),
    vlanFiltering: await hasVlanFiltering(namespace),
    vlanLinks: await hasLinkKind(namespace, "vlan"),
  };
}

/** By a thread of its own: a question that the kernel refuses is none of the writes that are counted. */
export async function askFeatures(kernel: Kernel, handle: NetnsHandle): Promise<KernelFeatures> {
  const namespace = await kernel.enter(handle);
  try {
    return await kernelFeatures(namespace);
  } finally {
    await namespace.close();
  }
}

/** A group address, which no link can have. */
const IMPOSSIBLE_MAC = "01:00:00:00:00:00";

/**
 * The kernel looks for the kind (loading its module), and lets the kind's own validate() see the address, before it
 * makes anything (__rtnl_newlink, net/core/rtnetlink.c): EADDRNOTAVAIL from a kind that is there, else EOPNOTSUPP.
 */
export async function hasLinkKind(namespace: Pick<Namespace, "createLink">, kind: LinkKind): Promise<boolean> {
  try {
    await namespace.createLink({ name: "pwfeature", kind, mac: IMPOSSIBLE_MAC });
  } catch (error) {
    if (isKernelError(error, "EADDRNOTAVAIL")) return true;
    if (isKernelError(error, "EOPNOTSUPP")) return false;
    throw error;
  }
  throw new Error(`a link of kind ${kind} took ${IMPOSSIBLE_MAC} for its address`);
}

/** No EtherType of a tag. */
const IMPOSSIBLE_VLAN_PROTOCOL = 0x0800;
/** More than any device carries. */
const IMPOSSIBLE_MTU = 0x7fffffff;

/**
 * A bridge that filters looks at the tag's EtherType in its validate() (net/bridge/br_netlink.c): EPROTONOSUPPORT. One
 * that does not passes over it, and the MTU is refused before the device is registered (rtnl_create_link): EINVAL.
 */
async function hasVlanFiltering(namespace: Pick<Namespace, "createLink">): Promise<boolean> {
  const data = { vlanProtocol: IMPOSSIBLE_VLAN_PROTOCOL };
  try {
    await namespace.createLink({ name: "pwfeature", kind: "bridge", mtu: IMPOSSIBLE_MTU, data });
  } catch (error) {
    if (isKernelError(error, "EPROTONOSUPPORT")) return true;
    if (isKernelError(error, "EINVAL") || isKernelError(error, "EOPNOTSUPP")) return false;
    throw error;
  }
  throw new Error(`a bridge took ${IMPOSSIBLE_MTU} for its MTU`);
}
