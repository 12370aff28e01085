/** What this kernel can do, found out by asking for what it must refuse: nothing is made. */
import { isKernelError } from "./kernel-error.ts";
import type { LinkKind, Namespace } from "./kernel.ts";

export interface KernelFeatures {
  readonly bonding: boolean;
}

/** Once a start: a kernel that has a module loads it on this occasion, and keeps it. */
export async function kernelFeatures(namespace: Pick<Namespace, "createLink">): Promise<KernelFeatures> {
  return { bonding: await hasLinkKind(namespace, "bond") };
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
