/** What a runtime should know of a cluster network before it starts pods: from what was observed. Pure. */
import type { NetworkHealth } from "../attach/network-verbs.ts";
import { type Facts, portStatuses } from "./report.ts";

/**
 * A NIC that a bond can do without is no reason to keep pods away from a host: what counts is whether the uplink carries
 * frames. A network without an uplink has nothing that could fail.
 */
export function networkHealth(facts: Facts, clusterNetwork: string): NetworkHealth {
  const context = facts.contexts.get(clusterNetwork);
  if (context === undefined)
    return { cannotAttach: [`there is no cluster network ${clusterNetwork} on this host`], suffers: [] };
  const { uplink, kept } = context;
  // A bridge that was taken over and does not filter has its uplink without our doing.
  if (!facts.intent.vlanConfigs.has(clusterNetwork) || (kept !== undefined && uplink === ""))
    return { cannotAttach: [], suffers: [] };
  const port = portStatuses(facts).find(({ device, role }) => device === uplink && role === "uplink");
  const why =
    port === undefined || !port.attached
      ? "has no uplink that is switched"
      : !port.up
        ? `has its uplink ${uplink} down`
        : !port.carrier
          ? `has no carrier at its uplink ${uplink}`
          : null;
  if (why === null) return { cannotAttach: [], suffers: [] };
  const conditions = facts.conditions.filter(({ object }) => object === `ClusterNetwork/${clusterNetwork}`);
  const reasons = conditions.map(({ message, code }) => `${message} [${code}]`);
  return { cannotAttach: [], suffers: [`cluster network ${clusterNetwork} ${why}`, ...reasons] };
}
