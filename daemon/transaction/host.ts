/** What a change of intent is carried out on. The daemon implements it; tests have one of their own. */
import type { Plan, Step } from "../model/plan.ts";
import type { ProbeReport } from "../model/probe.ts";
import type { Intent } from "../model/resources.ts";
import type { SavedLink } from "../model/saved-links.ts";
import type { Condition, Observed, Target } from "../model/target.ts";

export interface Previewed {
  readonly plan: Plan;
  readonly compiled: { readonly target: Target };
  readonly observation: Observed;
}
export interface Done {
  readonly plan: Plan;
  readonly failures: readonly { readonly step: Step; readonly error: unknown }[];
}

/** What is changed, and looked at. */
export interface TransactionHost {
  readonly intent: Intent;
  readonly conditions: readonly Condition[];
  setIntent(intent: Intent, gate?: (preview: Previewed) => Promise<void>): Promise<Done>;
  preview(intent: Intent): Promise<Previewed>;
  /** another round for the intent in force; probes and status follow it */
  settle(): Promise<Done>;
  /** puts settings back that differ from what was noted */
  restore(saved: readonly SavedLink[]): Promise<void>;
  readonly probes: readonly ProbeReport[];
  /** reports of probes that began after this call */
  probeNow(): Promise<readonly ProbeReport[]>;
}
