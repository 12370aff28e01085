/** What is told of a change of intent: by the API, in the status, as labels. */
import type { Impact } from "./plan.ts";

/** Label of portwright_rollbacks_total. */
export type RollbackCause = "timeout" | "probe" | "verify" | "crash" | "operator";

export type TransactionPhase =
  | "idle"
  | "preparing"
  | "applying"
  | "verifying"
  | "waiting"
  | "committing"
  | "rolling-back";

export interface Outcome {
  readonly id: string;
  /** "refused": nothing was touched; "unchanged": there was nothing to do */
  readonly result: "committed" | "unchanged" | "refused" | "rolled-back";
  /** null unless rolled back */
  readonly cause: RollbackCause | null;
  readonly reason: string;
}

export interface TransactionStatus {
  readonly phase: TransactionPhase;
  /** empty when idle */
  readonly id: string;
  readonly origin: string;
  readonly startedAt: string;
  /** s until it is rolled back by itself; null unless it waits for its confirmation */
  readonly secondsLeft: number | null;
  /** of the one before; null: none since the start */
  readonly last: Outcome | null;
  /** of the last good intent; 0: there is none yet */
  readonly generation: number;
  readonly savedAt: string;
}

/** A step of a plan, told. */
export interface StepView {
  readonly op: string;
  /** the link or port */
  readonly object: string;
  readonly impact: Impact;
  readonly text: string;
  /** of the ports that notice the impact: the workload's attachment, else the device */
  readonly touches: readonly string[];
}

export interface PlanView {
  readonly impact: Impact;
  readonly steps: readonly StepView[];
  /** what would still be wrong afterwards */
  readonly conditions: readonly { readonly code: string; readonly object: string; readonly message: string }[];
}

export interface ApplyAnswer extends TransactionStatus {
  /** what was done */
  readonly steps: readonly StepView[];
}
