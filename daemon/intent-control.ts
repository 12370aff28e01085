/**
 * The intent's way into force: at a start, on SIGHUP, and by plan, apply, confirm and rollback. transaction/ does what
 * must be undoable.
 */
import type { ApplyRequest } from "./api/backend.ts";
import { PortwrightError } from "./errors.ts";
import type { IntentText } from "./intent/intent.ts";
import type { FoundIntent, IntentSources } from "./intent-sources.ts";
import type { Log } from "./log.ts";
import type { Condition } from "./model/target.ts";
import type { ApplyAnswer, Outcome, PlanView, RollbackCause, TransactionStatus } from "./model/transaction.ts";
import { messageOf } from "./thrown.ts";
import type { Change } from "./transaction/machine.ts";
import type { TransactionHost } from "./transaction/host.ts";
import { type Candidate, Transactions } from "./transaction/transactions.ts";

export interface IntentControlOptions {
  readonly host: TransactionHost;
  readonly sources: IntentSources;
  readonly epoch: string;
  readonly log: Log;
  readonly onRollback: (cause: RollbackCause) => void;
  readonly onConditions: () => void;
}

/** At a start the gateways of a host that is up answer at once, and attach requests wait. */
const BOOT_LOOK = 1;

export class IntentControl {
  readonly #options: IntentControlOptions;
  #transactions: Transactions | null = null;
  /** somebody asked for the files while a change was under way: they may be newer than it */
  #readAgain = false;
  /** what is wrong with the files */
  #condition: Condition | null = null;

  constructor(options: IntentControlOptions) {
    this.#options = options;
  }

  get conditions(): readonly Condition[] {
    return this.#condition === null ? [] : [this.#condition];
  }

  /** Puts an intent into force. */
  async start(found: FoundIntent): Promise<void> {
    const { log } = this.#options;
    for (const damage of found.damaged) log.error({ damage }, "a file of the last good intent is unusable");
    if (found.misunderstood !== null)
      log.error({ err: found.misunderstood }, "the last good intent is not understood: going by the files");
    if (found.run === "files") await this.#startByFiles(found.files);
    else await this.#startByGood(found);
  }

  /** SIGHUP: the files as they are now. What cannot be read leaves the intent as it is, and says so. */
  async reload(): Promise<void> {
    try {
      const candidate = await this.#candidate(undefined).catch((error: unknown) => {
        this.#blame(error);
        throw error;
      });
      await this.#control.apply(candidate, { origin: "files" }).decided;
    } catch (error) {
      if (error instanceof PortwrightError && error.code === "TRANSACTION_PENDING") {
        this.#readAgain = true;
        this.#options.log.info({ reason: error.message }, "the files are read when the change under way has ended");
      } else this.#options.log.error({ err: error }, "the files did not come into force");
    }
  }

  async plan(texts: readonly IntentText[] | undefined): Promise<PlanView> {
    return await this.#control.plan(await this.#candidate(texts));
  }

  async apply({ texts, ...options }: ApplyRequest): Promise<ApplyAnswer> {
    const candidate = await this.#candidate(texts);
    const origin = texts === undefined ? "files" : "request";
    return await this.#control.apply(candidate, { ...options, origin }).decided;
  }

  confirm(): Promise<ApplyAnswer> {
    return this.#control.confirm();
  }
  rollBack(): Promise<TransactionStatus> {
    return this.#control.rollBack();
  }
  transaction(): ApplyAnswer {
    return this.#control.answer;
  }
  status(): TransactionStatus {
    return this.#control.status();
  }

  async close(): Promise<void> {
    await this.#transactions?.close();
  }

  get #control(): Transactions {
    if (this.#transactions === null) throw new PortwrightError("BUSY", "the daemon is starting");
    return this.#transactions;
  }

  async #startByFiles({ sources, intent }: Candidate): Promise<void> {
    const { host, log, sources: kept } = this.#options;
    await host.setIntent(intent);
    await host.settle();
    const savedAt = new Date().toISOString();
    const good = { generation: 1, sources, savedAt, filesDigest: sources.digest };
    try {
      await kept.store.saveFirst(good);
    } catch (cause) {
      log.error({ err: cause }, "the intent cannot be kept: the next start needs its files");
    }
    this.#begin({ sources, intent });
  }

  async #startByGood({ files, good, intent, stored, decision }: FoundIntent & { run: "good" }): Promise<void> {
    const { host, log, onRollback, sources } = this.#options;
    const { unfinished } = stored;
    await host.setIntent(intent);
    if (unfinished !== null) {
      if (unfinished.epoch === this.#options.epoch) await host.restore(unfinished.links);
      await host.settle();
      onRollback("crash");
      const reason = "the daemon ended before the change was verified and confirmed";
      const outcome: Outcome = { id: unfinished.id, result: "rolled-back", cause: "crash", reason };
      log.warn(outcome, "an unfinished change was undone: the last good intent is in force");
      const { candidateDigest } = unfinished;
      await this.#note(() => sources.store.rolledBack({ candidateDigest, outcome, at: new Date().toISOString() }));
    }
    this.#begin({ sources: good.sources, intent });
    if (files.fault !== null) this.#blame(files.fault.error);
    if (decision.files === "given-up") {
      const why = unfinished === null ? stored.givenUp?.outcome?.reason : "the daemon ended before it was confirmed";
      this.#say("ROLLED_BACK", `the files were tried and rolled back (${why ?? "the reason was not kept"})`);
    }
    if (decision.files !== "apply" || files.fault !== null) return;
    const { applied, decided } = this.#control.apply(files, { origin: "boot", look: BOOT_LOOK });
    decided.catch((error: unknown) => log.error({ err: error }, "the changed files did not come into force"));
    await applied;
  }

  #begin(inForce: Candidate): void {
    const { host, epoch, log, onRollback, sources } = this.#options;
    this.#transactions = new Transactions(
      {
        ...{ host, epoch, log, onRollback, store: sources.store },
        filesDigest: () => sources.digest(),
        onEnd: (outcome, origin) => {
          this.#ended(outcome, origin);
          if (!this.#readAgain) return;
          this.#readAgain = false;
          setImmediate(() => void this.reload());
        },
      },
      inForce,
      sources.store.load().good,
    );
  }

  /** Who applied texts of their own was told; files that are not in force stay a fault until that is decided anew. */
  #ended({ result, reason }: Outcome, origin: Change["origin"]): void {
    if (result === "committed" || result === "unchanged") this.#unsay();
    else if (origin === "request") return;
    else if (result === "rolled-back") this.#say("ROLLED_BACK", `the files were tried and rolled back: ${reason}`);
    else this.#say("CHANGE_REFUSED", `the files are not in force: ${reason}`);
  }

  async #note(write: () => Promise<void>): Promise<void> {
    try {
      await write();
    } catch (error) {
      this.#options.log.error({ err: error }, "the roll-back cannot be noted: the next start will do it again");
    }
  }

  #blame(error: unknown): void {
    const code = error instanceof PortwrightError ? error.code : "INTENT_INVALID";
    const text = error instanceof PortwrightError ? error.message : messageOf(error);
    const place = error instanceof PortwrightError && error.place;
    const where = place ? `${place.file}:${place.line}:${place.column}: ` : "";
    this.#say(code, `the files are not in force, the last good intent is: ${where}${text}`);
  }

  #say(code: string, message: string): void {
    this.#condition = { code, object: "Intent", message };
    this.#options.onConditions();
  }

  #unsay(): void {
    this.#condition = null;
    this.#options.onConditions();
  }

  async #candidate(texts: readonly IntentText[] | undefined): Promise<Candidate> {
    const { sources } = this.#options;
    if (texts !== undefined) return sources.given(texts);
    const files = await sources.files();
    if (files.fault !== null) throw files.fault.error;
    return files;
  }
}
