/** Which bridge a configuration means: that of a cluster network by its name, or one that is not managed. Pure. */
import { PortwrightError } from "../errors.ts";
import type { LocalBridge } from "../model/attachment.ts";
import { DEFAULT_LOCAL_BRIDGE } from "../model/local-bridge.ts";
import { interfaceNameFault } from "../model/names.ts";
import { bridgeName } from "../model/resources.ts";
import type { Fields } from "./decode.ts";
import type { PortOptions } from "./port-maker.ts";

const MANAGED_SUFFIX = bridgeName("");

/**
 * A name that ends like a cluster network's bridge is never another's: one that was misspelt would become a bridge that
 * leads nowhere.
 */
export function parseBridge(conf: Fields): Pick<PortOptions, "clusterNetwork" | "localBridge"> {
  const name = conf.string("bridge") || DEFAULT_LOCAL_BRIDGE;
  if (name.endsWith(MANAGED_SUFFIX)) {
    const clusterNetwork = name.slice(0, -MANAGED_SUFFIX.length);
    if (clusterNetwork === "") throw new PortwrightError("BRIDGE_UNKNOWN", `"${name}" is not a bridge of ours`);
    return { clusterNetwork, localBridge: null };
  }
  const fault = interfaceNameFault(name);
  if (fault !== null) throw conf.refuse("bridge", fault, name);
  return { clusterNetwork: "", localBridge: { name, promiscuous: conf.boolean("promiscMode") ?? false } };
}

/** As results and messages name it. */
export function bridgeNameOf({
  clusterNetwork,
  localBridge,
}: {
  readonly clusterNetwork: string;
  readonly localBridge: LocalBridge | null;
}): string {
  return localBridge?.name ?? bridgeName(clusterNetwork);
}
