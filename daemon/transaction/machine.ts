/**
 * A change of intent as a state machine: what may follow what. Pure: the shell (transactions.ts) does what a phase says
 * and tells what came of it.
 *
 *   idle -> preparing -> applying -> verifying -> (waiting) -> committing -> idle
 *               |            |           |            |            |
 *             idle           +-----------+---> rolling-back <------+ -> idle
 *
 * Before "applying" nothing was touched, and a fault leads straight back. From there on the only ways out are the commit
 * of what was verified (and confirmed, if that was asked for) and the roll-back.
 */
import { PortwrightError } from "../errors.ts";
import type { Outcome, RollbackCause } from "../model/transaction.ts";

export interface Change {
  readonly id: string;
  /** who asked: a call with texts, a call or SIGHUP for the daemon's own files, or a start that found them changed */
  readonly origin: "request" | "files" | "boot";
  /** s that the operator has to confirm; 0: it counts as confirmed */
  readonly confirm: number;
  /** ISO 8601 */
  readonly startedAt: string;
}

export interface Fault {
  readonly cause: RollbackCause;
  readonly reason: string;
}

export type State =
  | { readonly phase: "idle"; readonly last: Outcome | null }
  | { readonly phase: "preparing"; readonly change: Change }
  /** `wish`: the operator wants it undone, and it will be as soon as the running steps have ended */
  | { readonly phase: "applying" | "verifying"; readonly change: Change; readonly wish: Fault | null }
  | { readonly phase: "waiting"; readonly change: Change; readonly deadline: number }
  | { readonly phase: "committing"; readonly change: Change }
  | { readonly phase: "rolling-back"; readonly change: Change; readonly fault: Fault };

export type Event =
  | { readonly type: "begin"; readonly change: Change }
  /** a fault before the first step */
  | { readonly type: "refuse"; readonly reason: string }
  /** nothing differs, nor do the texts */
  | { readonly type: "unchanged" }
  /** the texts differ, but not what they come to */
  | { readonly type: "no-steps" }
  /** the way back is on disk: the first step may come. `confirm`: s that this plan needs, if nobody asked for others */
  | { readonly type: "checkpointed"; readonly confirm: number }
  | { readonly type: "applied"; readonly fault: Fault | null }
  /** `now`: ms of a clock that never goes back */
  | { readonly type: "verified"; readonly fault: Fault | null; readonly now: number }
  | { readonly type: "confirm"; readonly now: number }
  | { readonly type: "roll-back" }
  | { readonly type: "time"; readonly now: number }
  | { readonly type: "committed" }
  | { readonly type: "not-committed"; readonly reason: string }
  | { readonly type: "rolled-back" };

export type Phase = State["phase"];

export const initial: State = { phase: "idle", last: null };

const BY_OPERATOR: Fault = { cause: "operator", reason: "the operator rolled it back" };

/** Throws TRANSACTION_PENDING or TRANSACTION_NONE for what an operator may ask at the wrong time. */
export function next(state: State, event: Event): State {
  switch (event.type) {
    case "begin":
      if (state.phase === "idle") return { phase: "preparing", change: event.change };
      throw new PortwrightError("TRANSACTION_PENDING", `change ${state.change.id} is ${saying[state.phase]}`);
    case "confirm":
      if (state.phase === "waiting" && event.now < state.deadline) return { phase: "committing", change: state.change };
      throw none(state, "confirm");
    case "roll-back":
      if (state.phase === "waiting") return { phase: "rolling-back", change: state.change, fault: BY_OPERATOR };
      if (state.phase === "applying" || state.phase === "verifying") return { ...state, wish: BY_OPERATOR };
      throw none(state, "roll back");
    case "time":
      if (state.phase !== "waiting" || event.now < state.deadline) return state;
      return {
        phase: "rolling-back",
        change: state.change,
        fault: { cause: "timeout", reason: `it was not confirmed within ${state.change.confirm} s` },
      };
    default:
      return step(state, event);
  }
}

/** What the shell reports of its own work: it knows what it is doing, so anything else is a fault of ours. */
function step(
  state: State,
  event: Exclude<Event, { readonly type: "begin" | "confirm" | "roll-back" | "time" }>,
): State {
  switch (state.phase) {
    case "preparing": {
      const { change } = state;
      if (event.type === "refuse") return ended(change, "refused", event.reason);
      if (event.type === "unchanged") return ended(change, "unchanged", "");
      if (event.type === "no-steps") return { phase: "committing", change };
      if (event.type === "checkpointed") {
        const confirm = change.confirm || event.confirm;
        return { phase: "applying", change: { ...change, confirm }, wish: null };
      }
      break;
    }
    case "applying":
      if (event.type === "applied") {
        const fault = event.fault ?? state.wish;
        if (fault !== null) return { phase: "rolling-back", change: state.change, fault };
        return { ...state, phase: "verifying" };
      }
      break;
    case "verifying":
      if (event.type === "verified") {
        const { change } = state;
        const fault = event.fault ?? state.wish;
        if (fault !== null) return { phase: "rolling-back", change, fault };
        if (change.confirm === 0) return { phase: "committing", change };
        return { phase: "waiting", change, deadline: event.now + change.confirm * 1000 };
      }
      break;
    case "committing":
      if (event.type === "committed") return ended(state.change, "committed", "");
      if (event.type === "not-committed") {
        return { phase: "rolling-back", change: state.change, fault: { cause: "verify", reason: event.reason } };
      }
      break;
    case "rolling-back":
      if (event.type === "rolled-back") {
        const { id } = state.change;
        return { phase: "idle", last: { id, result: "rolled-back", ...state.fault } };
      }
      break;
    case "idle":
    case "waiting":
      break;
  }
  throw new Error(`a change that is ${state.phase} cannot be told "${event.type}"`);
}

function ended({ id }: Change, result: Outcome["result"], reason: string): State {
  return { phase: "idle", last: { id, result, cause: null, reason } };
}

const saying: Readonly<Record<Exclude<Phase, "idle">, string>> = {
  preparing: "being prepared",
  applying: "being applied",
  verifying: "being verified",
  waiting: "waiting for its confirmation",
  committing: "being made permanent",
  "rolling-back": "being rolled back",
};

function none(state: State, what: string): PortwrightError {
  if (state.phase === "idle") return new PortwrightError("TRANSACTION_NONE", `there is no change to ${what}`);
  const message = `change ${state.change.id} is ${saying[state.phase]}: there is nothing to ${what} now`;
  return new PortwrightError("TRANSACTION_NONE", message);
}
