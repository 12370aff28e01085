/** A plan as it is told to people and programs: what is done, how it is noticed, and by whom. Pure. */
import { describe } from "./describe.ts";
import type { Impact, Plan, Step } from "./plan.ts";
import type { Condition, Observed, Target } from "./target.ts";
import type { PlanView, StepView } from "./transaction.ts";

export function planView(plan: Plan, target: Target, observed: Observed): PlanView {
  const touched = new Touched(target, observed);
  const steps = plan.steps.map((step): StepView => {
    const { op, impact } = step;
    return { op, object: objectOf(step), impact, text: describe(step), touches: touched.by(step) };
  });
  return { impact: worst(steps.map(({ impact }) => impact)), steps, conditions: target.conditions.map(plainCondition) };
}

export function worst(impacts: readonly Impact[]): Impact {
  return impacts.includes("outage") ? "outage" : impacts.includes("blip") ? "blip" : "none";
}

function plainCondition({ code, object, message }: Condition): Condition {
  return { code, object, message };
}

function objectOf(step: Step): string {
  switch (step.op) {
    case "create-link":
      return step.link.name;
    case "set-port":
      return step.port.linkName;
    case "remove-port":
      return step.linkName;
    default:
      return step.name;
  }
}

/** Which ports notice a step: its own, or where a link carries a whole switch, all of that switch. */
class Touched {
  /** devices of ports by switch */
  readonly #switches = new Map<number, string[]>();
  readonly #switchOf = new Map<string, number>();
  readonly #owners = new Map<string, string>();

  constructor(target: Target, { links, ports }: Observed) {
    const names = new Map(links.map(({ ifindex, name }) => [ifindex, name]));
    for (const { ifindex, config } of ports) {
      const device = names.get(ifindex);
      if (device === undefined) continue;
      this.#switchOf.set(device, config.switchId);
      const others = this.#switches.get(config.switchId);
      if (others) others.push(device);
      else this.#switches.set(config.switchId, [device]);
    }
    for (const { linkName, owner } of target.ports.values()) if (owner !== "") this.#owners.set(linkName, owner);
  }

  by(step: Step): readonly string[] {
    if (step.impact === "none") return [];
    const device = objectOf(step);
    const isPort = step.op === "set-port" || step.op === "remove-port" || step.op === "set-workload-mtu";
    const id = this.#switchOf.get(device);
    const isShared = id !== undefined && !this.#owners.has(device);
    const devices = isShared ? (this.#switches.get(id) ?? []) : isPort || id !== undefined ? [device] : [];
    return devices.map((name) => this.#owners.get(name) ?? name);
  }
}
