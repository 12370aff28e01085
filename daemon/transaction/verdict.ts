/** Is the host no worse than before the change? Pure. */
import { describe } from "../model/describe.ts";
import type { Plan, Step } from "../model/plan.ts";
import type { ProbeReport } from "../model/probe.ts";
import type { Intent } from "../model/resources.ts";
import type { Condition } from "../model/target.ts";
import type { Fault } from "./machine.ts";

/** How things were. */
export interface Baseline {
  /** objects that the intent names and that had nothing wrong with them */
  readonly sound: ReadonlySet<string>;
  /** networks and probes that succeeded */
  readonly answered: ReadonlySet<string>;
}

export function baseline(intent: Intent, conditions: readonly Condition[], probes: readonly ProbeReport[]): Baseline {
  const faulty = new Set(conditions.map(({ object }) => object));
  return {
    sound: new Set(objectsOf(intent).filter((object) => !faulty.has(object))),
    answered: new Set(probes.filter(({ success }) => success).map(keyOf)),
  };
}

/**
 * What was sound and is not any more. An object that is new may have to wait for its NIC, and one that was faulty before
 * is no reason to go back.
 */
export function worsened({ sound }: Baseline, conditions: readonly Condition[]): Fault | null {
  const worse = conditions.find(({ object }) => sound.has(object));
  return worse ? { cause: "verify", reason: `${worse.object}: ${worse.message} [${worse.code}]` } : null;
}

export function unsettled(plan: Plan): Fault | null {
  const [step] = plan.steps;
  if (step === undefined) return null;
  return { cause: "verify", reason: `${count(plan.steps.length)} to be done again: ${describe(step)}` };
}

export function failed(failures: readonly { readonly step: Step; readonly error: unknown }[]): Fault | null {
  const [first] = failures;
  if (first === undefined) return null;
  const { error, step } = first;
  const why = error instanceof Error ? error.message : String(error);
  return { cause: "verify", reason: `${count(failures.length)} failed: ${describe(step)}: ${why}` };
}

/**
 * Probes that succeeded before and have not succeeded since. A network that the new intent takes away, or whose gateway
 * it does not name any more, is not expected to answer.
 */
export function silent({ answered }: Baseline, probes: readonly ProbeReport[]): readonly ProbeReport[] {
  return probes.filter((report) => answered.has(keyOf(report)) && !report.success);
}

export function probeFault(reports: readonly ProbeReport[], seconds: number): Fault | null {
  const [first] = reports;
  if (first === undefined) return null;
  const { network, probe, gateway, reason } = first;
  const others = reports.length === 1 ? "" : `, and ${reports.length - 1} other probes`;
  const why = `${reason ?? "no answer"}${others}`;
  return {
    cause: "probe",
    reason: `gateway ${gateway} of network ${network} answered ${probe.toUpperCase()} before, and not within ${seconds} s after: ${why}`,
  };
}

function objectsOf(intent: Intent): string[] {
  return [
    ...[...intent.clusterNetworks.keys()].map((name) => `ClusterNetwork/${name}`),
    ...[...intent.networks.keys()].map((name) => `Network/${name}`),
  ];
}

function keyOf({ network, probe }: ProbeReport): string {
  return `${network} ${probe}`;
}

function count(steps: number): string {
  return steps === 1 ? "1 step" : `${steps} steps`;
}
