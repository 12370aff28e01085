/** Which changes the operator has to confirm: those by which he could lose the host. Pure. */
import type { Plan, Step } from "./plan.ts";
import { isAdopted, type Observed, parseAlias, type Target } from "./target.ts";

/** By Harvester's convention the network that the host itself is reached by. */
const MANAGEMENT = "mgmt";

/** s to confirm in, where nobody said how long */
export const CONFIRM_SECONDS = 60;

/** Cluster networks whose links, uplink ports or addresses the plan touches, and by which the host may be reached. */
export function vitalNetworks({ steps }: Plan, target: Target, observed: Observed): readonly string[] {
  const found = new Map(observed.links.map((link) => [link.name, parseAlias(link.alias)?.clusterNetwork ?? ""]));
  const adopted = [...target.links.values(), ...observed.links].filter(isAdopted);
  const vital = new Set([MANAGEMENT, ...adopted.map(({ alias }) => parseAlias(alias)?.clusterNetwork ?? "")]);
  const networkOf = (name: string): string => target.links.get(name)?.clusterNetwork ?? found.get(name) ?? "";
  const touched = steps.flatMap((step) => subjectsOf(step).map(networkOf)).filter((name) => vital.has(name));
  return [...new Set(touched)].sort();
}

/** Links, by name. Workloads and probes are not what a host is reached by. */
function subjectsOf(step: Step): readonly string[] {
  switch (step.op) {
    case "create-link":
    case "delete-link": {
      const link = step.op === "create-link" ? step.link : step.before;
      return link === null || link.alias.startsWith("portwright probe ") ? [] : [link.name];
    }
    case "change-link":
    case "add-address":
    case "remove-address":
      return [step.name];
    case "enslave":
    case "release":
      return [step.name, step.bond];
    case "set-port":
      return step.port.role === "uplink" ? [step.port.linkName] : [];
    case "remove-port":
      return step.before.config.uplink ? [step.linkName] : [];
    case "set-workload-mtu":
      return [];
  }
}
