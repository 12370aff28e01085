/**
 * GC and STATUS of IPAM plugins that may be older than these verbs. Such a plugin refuses in words that tell little: one
 * of before 1.1.0 may miss a container's id (code 3), one that gained the version without the verb calls CNI_COMMAND
 * invalid (code 4). What versions it supports it says itself.
 */
import { type Addresses, type IpamCall, IpamError } from "./ipam.ts";
import type { CniVersion } from "./version.ts";

export type VerbAnswer = "done" | "unknown verb" | "unknown version";

/** "Invalid necessary environment variables, like CNI_COMMAND" (CNI SPEC 1.1.0, "Error") */
const INVALID_ENVIRONMENT = 4;

/** Rejects with what the plugin said, if it knows the verb. */
export async function askAddresses(
  ipam: Addresses,
  verb: "gc" | "status",
  call: IpamCall,
  version: CniVersion,
): Promise<VerbAnswer> {
  try {
    await ipam[verb](call);
    return "done";
  } catch (error) {
    if (!(error instanceof IpamError)) throw error;
    const versions = await ipam.versions(call).catch(() => null);
    if (versions === null) throw error;
    if (!versions.includes(version)) return "unknown version";
    if (error.cniCode === INVALID_ENVIRONMENT) return "unknown verb";
    throw error;
  }
}
