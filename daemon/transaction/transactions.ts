/**
 * Carries changes of intent out, one at a time, each with a way back: the phases are machine.ts's, this file does their
 * work.
 *
 * The way back is to compile the last good intent again, against the host as it then is. That needs no knowledge of how
 * far the change had come, so it is the same after a fault, a kill and a power cut; it restores what the change removed,
 * and cannot undo what others did meanwhile (a workload that was attached keeps its port). What an intent leaves open and
 * the change overwrote comes from the checkpoint (model/saved-links.ts).
 */
import { randomBytes } from "node:crypto";
import { PortwrightError } from "../errors.ts";
import { CONFIRM_SECONDS, vitalNetworks } from "../model/confirmation.ts";
import { describe } from "../model/describe.ts";
import { planView } from "../model/plan-view.ts";
import type { Intent } from "../model/resources.ts";
import { savedLinks } from "../model/saved-links.ts";
import type {
  ApplyAnswer,
  Outcome,
  PlanView,
  RollbackCause,
  StepView,
  TransactionStatus,
} from "../model/transaction.ts";
import { messageOf } from "../thrown.ts";
import type { Checkpoint, GoodIntent, IntentStore, Sources } from "./intent-store.ts";
import { type Change, type Event, type Fault, initial, next, type State } from "./machine.ts";
import type { TransactionHost } from "./host.ts";
import { type Baseline, baseline, failed, worsened } from "./verdict.ts";
import { look, verify } from "./verify.ts";

/** An intent as it was given, and what it means on this host. */
export interface Candidate {
  readonly sources: Sources;
  readonly intent: Intent;
}

export interface TransactionsOptions {
  readonly host: TransactionHost;
  readonly store: IntentStore;
  readonly epoch: string;
  /** digest of the daemon's own files as they are now; null: they cannot be read */
  readonly filesDigest: () => Promise<string | null>;
  readonly log: {
    info(fields: object, message: string): void;
    warn(fields: object, message: string): void;
    error(fields: object, message: string): void;
  };
  readonly onRollback: (cause: RollbackCause) => void;
  /** a change has ended */
  readonly onEnd?: (outcome: Outcome, origin: Change["origin"]) => void;
  /** ms of a clock that never goes back */
  readonly now?: () => number;
}

export interface ApplyOptions {
  readonly origin: Change["origin"];
  /** s; 0: no confirmation is waited for */
  readonly confirm?: number;
  /** s in which probes that succeeded must succeed again */
  readonly verify?: number;
  /** s for finding out which probes succeed */
  readonly look?: number;
}

const DEFAULT_VERIFY = 15;
const DEFAULT_LOOK = 5;
interface Signal {
  readonly promise: Promise<void>;
  readonly resolve: () => void;
}

interface Running {
  readonly candidate: Candidate;
  readonly options: ApplyOptions;
  /** in force before, and where the way back leads */
  readonly former: Candidate;
  checkpoint: Checkpoint | null;
  /** there is nothing to be done, and why; null until that is known, or if there is */
  quiet: "unchanged" | "no-steps" | null;
  /** why nothing was touched */
  refusal: unknown;
  outcome: Outcome | null;
  readonly applied: Signal;
  readonly decided: Signal;
  steps: readonly StepView[];
  before: Baseline;
  /** ends the waiting phase, for what an operator said or a clock */
  wake: () => void;
}

export class Transactions {
  readonly #options: TransactionsOptions;
  readonly #now: () => number;
  #state: State = initial;
  #running: Running | null = null;
  #good: GoodIntent | null = null;
  #inForce: Candidate;
  #ending: Promise<void> = Promise.resolve();
  #closed = false;

  constructor(options: TransactionsOptions, inForce: Candidate, good: GoodIntent | null) {
    this.#options = options;
    this.#now = options.now ?? (() => performance.now());
    this.#inForce = inForce;
    this.#good = good;
  }

  get inForce(): Candidate {
    return this.#inForce;
  }

  status(): TransactionStatus {
    const state = this.#state;
    const change = state.phase === "idle" ? null : state.change;
    return {
      phase: state.phase,
      id: change?.id ?? "",
      origin: change?.origin ?? "",
      startedAt: change?.startedAt ?? "",
      secondsLeft: state.phase === "waiting" ? Math.max(0, Math.ceil((state.deadline - this.#now()) / 1000)) : null,
      last: state.phase === "idle" ? state.last : null,
      generation: this.#good?.generation ?? 0,
      savedAt: this.#good?.savedAt ?? "",
    };
  }

  get answer(): ApplyAnswer {
    return { ...this.status(), steps: this.#running?.steps ?? [] };
  }

  async plan({ intent }: Pick<Candidate, "intent">): Promise<PlanView> {
    const { plan, compiled, observation } = await this.#options.host.preview(intent);
    return planView(plan, compiled.target, observation);
  }

  /**
   * Begins a change. Throws TRANSACTION_PENDING if there is one. `applied`: its steps have been done, or never will be.
   * `decided`: it ended, or waits for its confirmation; a change that was not made is thrown as CHANGE_REFUSED or
   * ROLLED_BACK.
   */
  apply(candidate: Candidate, options: ApplyOptions): { applied: Promise<void>; decided: Promise<ApplyAnswer> } {
    const change: Change = {
      id: randomBytes(4).toString("hex"),
      origin: options.origin,
      confirm: options.confirm ?? 0,
      startedAt: new Date().toISOString(),
    };
    this.#send({ type: "begin", change });
    const { host } = this.#options;
    const running: Running = {
      ...{ candidate, options, former: this.#inForce, checkpoint: null, quiet: null },
      ...{ refusal: null, outcome: null, steps: [], wake: () => undefined },
      ...{ applied: signal(), decided: signal() },
      before: baseline(host.intent, host.conditions, []),
    };
    this.#running = running;
    this.#ending = this.#run(running);
    const { applied, decided } = running;
    return { applied: applied.promise, decided: decided.promise.then(() => this.#answerTo(running)) };
  }

  /** Resolves when it is permanent. */
  async confirm(): Promise<ApplyAnswer> {
    return await this.#order({ type: "confirm", now: this.#now() });
  }

  /** Resolves when the last good intent is in force again. */
  async rollBack(): Promise<TransactionStatus> {
    this.#send({ type: "roll-back" });
    this.#running?.wake();
    await this.#ending;
    return this.status();
  }

  /** A change that waits stays on disk as unfinished: the next start undoes it. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#running?.wake();
    await this.#ending;
  }

  async #order(event: Event): Promise<ApplyAnswer> {
    const running = this.#running;
    this.#send(event);
    running?.wake();
    await this.#ending;
    if (running === null) throw new Error("there was no change");
    return this.#answerTo(running);
  }

  #answerTo({ steps, refusal, outcome }: Running): ApplyAnswer {
    if (outcome?.result === "refused") throw refusal;
    if (outcome?.result === "rolled-back") {
      throw new PortwrightError("ROLLED_BACK", `the change was rolled back: ${outcome.reason}`);
    }
    return { ...this.status(), ...(outcome && { last: outcome }), steps };
  }

  #send(event: Event): void {
    const before = this.#state;
    this.#state = next(before, event);
    if (this.#state === before) return;
    const { phase } = this.#state;
    if (phase !== "preparing" && phase !== "applying") this.#running?.applied.resolve();
    if (phase === "waiting") this.#running?.decided.resolve();
    if (phase === "idle") this.#ended(this.#state.last);
  }

  /** At once, in the turn that ends it: the next change may begin in the one after. */
  #ended(outcome: Outcome | null): void {
    const running = this.#running;
    this.#running = null;
    if (outcome === null || running === null) return;
    running.outcome = outcome;
    running.decided.resolve();
    this.#options.log.info(outcome, "the change has ended");
    this.#options.onEnd?.(outcome, running.options.origin);
  }

  async #run(running: Running): Promise<void> {
    const { log } = this.#options;
    while (this.#running === running) {
      const state = this.#state;
      switch (state.phase) {
        case "preparing":
          await this.#prepareAndApply(running, state.change);
          break;
        case "verifying": {
          const fault = await this.#verify(running);
          if (this.#closed) return; // not verified: the next start undoes it
          this.#send({ type: "verified", fault, now: this.#now() });
          break;
        }
        case "waiting":
          log.info({ id: state.change.id, seconds: state.change.confirm }, "the change waits for its confirmation");
          await this.#wait(running, state.deadline);
          if (this.#closed && this.#state.phase === "waiting") return;
          break;
        case "committing":
          await this.#commit(running);
          break;
        case "rolling-back":
          log.warn({ id: state.change.id, ...state.fault }, "rolling back to the last good intent");
          this.#options.onRollback(state.fault.cause);
          await this.#goBack(running, { id: state.change.id, result: "rolled-back", ...state.fault });
          this.#send({ type: "rolled-back" });
          break;
        case "applying":
        case "idle":
          throw new Error(`a change that runs cannot be ${state.phase}`);
      }
    }
  }

  /** The first step comes when the way back is on disk, and not before. */
  async #prepareAndApply(running: Running, { id, startedAt }: Change): Promise<void> {
    const { host, store, epoch } = this.#options;
    const { candidate } = running;
    try {
      const reports = await look(host, running.options.look ?? DEFAULT_LOOK);
      if (this.#closed) throw new PortwrightError("BUSY", "the daemon is stopping");
      running.before = baseline(host.intent, host.conditions, reports);
      const filesDigest = await this.#options.filesDigest();
      const good = this.#nextGood(candidate.sources, filesDigest);
      const done = await host.setIntent(candidate.intent, async ({ plan, compiled, observation }) => {
        const worse = worsened(running.before, compiled.target.conditions);
        if (worse !== null) throw new PortwrightError("CHANGE_REFUSED", worse.reason);
        running.steps = planView(plan, compiled.target, observation).steps;
        const isSame =
          this.#good?.sources.digest === candidate.sources.digest && this.#good.filesDigest === filesDigest;
        running.quiet = plan.steps.length === 0 ? (isSame ? "unchanged" : "no-steps") : null;
        if (running.quiet === "no-steps") await store.prepare(good);
        if (running.quiet !== null) return;
        const checkpoint: Checkpoint = {
          ...{ id, startedAt, epoch, candidateDigest: candidate.sources.digest },
          links: savedLinks(plan),
          steps: plan.steps.map(describe),
        };
        await store.prepare(good, checkpoint);
        running.checkpoint = checkpoint;
        const vital = vitalNetworks(plan, compiled.target, observation);
        if (vital.length > 0) this.#options.log.info({ id, clusterNetworks: vital }, "the change needs a confirmation");
        this.#send({ type: "checkpointed", confirm: vital.length > 0 ? CONFIRM_SECONDS : 0 });
      });
      this.#inForce = candidate;
      if (running.quiet !== null) this.#send({ type: running.quiet });
      else this.#send({ type: "applied", fault: failed(done.failures) });
    } catch (error) {
      const reason = messageOf(error);
      // What threw before the first step left nothing but a candidate; later, the host itself does not answer.
      if (this.#state.phase === "preparing") {
        running.refusal = error;
        if (running.quiet !== null) await host.setIntent(running.former.intent).catch(() => undefined);
        await store.drop().catch(() => undefined);
        this.#send({ type: "refuse", reason });
      } else if (this.#state.phase === "applying") {
        this.#send({ type: "applied", fault: { cause: "verify", reason } });
      } else throw error;
    }
  }

  #nextGood(sources: Sources, filesDigest: string | null): GoodIntent {
    const generation = (this.#good?.generation ?? 0) + 1;
    return { generation, sources, filesDigest, savedAt: new Date().toISOString() };
  }

  async #verify(running: Running): Promise<Fault | null> {
    const { before, options } = running;
    const interrupted = signal();
    running.wake = interrupted.resolve;
    return await verify({
      host: this.#options.host,
      before,
      seconds: options.verify ?? DEFAULT_VERIFY,
      interrupted: interrupted.promise,
      isInterrupted: () => this.#closed || (this.#state.phase === "verifying" && this.#state.wish !== null),
      now: this.#now,
    });
  }

  #wait(running: Running, deadline: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => running.wake(), Math.max(0, deadline - this.#now()) + 1);
      running.wake = () => {
        clearTimeout(timer);
        if (!this.#closed) this.#send({ type: "time", now: this.#now() });
        resolve();
      };
    });
  }

  async #commit({ candidate }: Running): Promise<void> {
    try {
      await this.#options.store.commit();
      this.#good = this.#options.store.load().good;
      this.#inForce = candidate;
      this.#send({ type: "committed" });
    } catch (error) {
      this.#send({ type: "not-committed", reason: `it cannot be kept: ${messageOf(error)}` });
    }
  }

  /** Comes to an end whatever fails: the rounds that follow go on trying. */
  async #goBack({ candidate, former, checkpoint }: Running, outcome: Outcome): Promise<void> {
    const { host, store, log } = this.#options;
    this.#inForce = former;
    try {
      await host.setIntent(former.intent);
      if (checkpoint !== null) await host.restore(checkpoint.links);
      await host.settle();
    } catch (error) {
      log.error({ err: error }, "rolling back met a fault; the next rounds go on with it");
    }
    try {
      await store.rolledBack({ candidateDigest: candidate.sources.digest, outcome, at: new Date().toISOString() });
    } catch (error) {
      log.error({ err: error }, "the roll-back cannot be noted: the next start will do it again");
    }
  }
}

function signal(): Signal {
  let resolve: () => void = () => undefined;
  const promise = new Promise<void>((settle) => {
    resolve = settle;
  });
  return { promise, resolve };
}
