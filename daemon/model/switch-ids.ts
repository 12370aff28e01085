/** Which switch a cluster network is. Stable: a change of id is a change of every port. Pure. */
import { type Observed, parseAlias } from "./target.ts";

/** PW_MAX_SWITCHES, bpf/abi.h */
export const MAX_SWITCHES = 16;

/** Names that had a free id keep it, the others get the lowest free one. Who comes too late is not in the answer. */
export function assignSwitchIds(
  names: readonly string[],
  previous: ReadonlyMap<string, number>,
): ReadonlyMap<string, number> {
  const ids = new Map<string, number>();
  const used = new Set<number>();
  for (const name of names) {
    const id = previous.get(name);
    if (id === undefined || id < 0 || id >= MAX_SWITCHES || used.has(id)) continue;
    ids.set(name, id);
    used.add(id);
  }
  let next = 0;
  for (const name of names) {
    if (ids.has(name)) continue;
    while (used.has(next)) next++;
    if (next >= MAX_SWITCHES) break;
    ids.set(name, next);
    used.add(next);
  }
  return ids;
}

/**
 * The ids that the kernel remembers: in the bridges' aliases, and where a bridge is missing, in the ports. A NIC has no
 * alias of ours, so that an uplink without a bridge and without other ports is forgotten; nobody is cut off by that.
 */
export function observedSwitchIds(observed: Observed): ReadonlyMap<string, number> {
  const ids = new Map<string, number>();
  const clusterNetworkOf = new Map<number, string>();
  for (const link of observed.links) {
    const said = parseAlias(link.alias);
    if (said === null) continue;
    clusterNetworkOf.set(link.ifindex, said.clusterNetwork);
    if (said.switchId !== null) ids.set(said.clusterNetwork, said.switchId);
  }
  for (const port of observed.ports) {
    const clusterNetwork = clusterNetworkOf.get(port.ifindex);
    if (clusterNetwork !== undefined && !ids.has(clusterNetwork)) ids.set(clusterNetwork, port.config.switchId);
  }
  return ids;
}
