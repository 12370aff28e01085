/** The plan that undoes a plan. Pure. What cannot be undone (a workload's link that was deleted) is left out. */
import type { Plan, Step } from "./plan.ts";
import { portChangeImpact, portRemoveImpact, linkDeleteImpact, workloadMtuImpact } from "./impact.ts";
import { samePort } from "./port.ts";
import type { ObservedPort } from "./target.ts";

export function inverse(plan: Plan): Plan {
  return { steps: [...plan.steps].reverse().flatMap(undo) };
}

function undo(step: Step): Step[] {
  switch (step.op) {
    case "create-link": {
      const { link } = step;
      return [{ op: "delete-link", name: link.name, ifindex: 0, before: link, impact: linkDeleteImpact(link) }];
    }
    case "change-link":
      return [{ ...step, before: step.after, after: step.before }];
    case "delete-link":
      return step.before === null ? [] : [{ op: "create-link", link: step.before, impact: "none" }];
    case "enslave": {
      const { name, ifindex, bond, before } = step;
      if (before.bond !== "") return [{ ...step, bond: before.bond, before: { up: true, bond } }];
      return [{ op: "release", name, ifindex, bond, up: before.up, needsSuccessor: false, impact: "outage" }];
    }
    case "release": {
      const { name, ifindex, bond, up } = step;
      return [{ op: "enslave", name, ifindex, bond, before: { up, bond: "" }, impact: "none" }];
    }
    case "add-address":
      return [{ ...step, op: "remove-address", impact: "outage" }];
    case "remove-address":
      return [{ ...step, op: "add-address", impact: "none" }];
    case "set-port": {
      const { port, before } = step;
      if (before === null) {
        const made: ObservedPort = { ifindex: 0, portId: 0, config: port.config, attached: true };
        const { linkName, clusterNetwork, network } = port;
        const impact = portRemoveImpact(made, true);
        return [{ op: "remove-port", before: made, linkName, clusterNetwork, network, impact }];
      }
      // A program that was missing stays: its absence is not a state to go back to.
      if (samePort(before.config, port.config)) return [];
      const now: ObservedPort = { ...before, config: port.config, attached: true };
      const impact = portChangeImpact(now, before.config);
      return [{ op: "set-port", port: { ...port, config: before.config }, before: now, impact }];
    }
    case "set-workload-mtu": {
      const { before, after } = step;
      if (before === 0) return [];
      return [{ ...step, before: after, after: before, impact: workloadMtuImpact(after, before) }];
    }
    case "remove-port": {
      const { before, linkName, clusterNetwork, network } = step;
      if (linkName === "") return [];
      const { config } = before;
      const role = config.uplink ? "uplink" : config.kind === "host" ? "probe" : "workload";
      const port = { linkName, config, clusterNetwork, network, role, owner: "" } as const;
      return [{ op: "set-port", port, before: null, impact: "none" }];
    }
  }
}
