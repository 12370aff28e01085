/**
 * The intent's way into force: at a start, on SIGHUP, and by plan, apply, confirm and rollback. Reads the daemon's own
 * files; transaction/ does what must be undoable.
 */
import { join } from "node:path";
import type { ApplyRequest } from "./api/backend.ts";
import { PortwrightError } from "./errors.ts";
import { intentOf, type IntentText, readTexts } from "./intent/intent.ts";
import type { Log } from "./log.ts";
import type { Intent } from "./model/resources.ts";
import type { Condition } from "./model/target.ts";
import type { ApplyAnswer, Outcome, PlanView, RollbackCause, TransactionStatus } from "./model/transaction.ts";
import { RecordFiles } from "./state/record-files.ts";
import { messageOf } from "./thrown.ts";
import { type BootDecision, decideBoot } from "./transaction/boot.ts";
import type { Change } from "./transaction/machine.ts";
import { IntentStore, type Sources, sourcesOf, type Stored } from "./transaction/intent-store.ts";
import type { TransactionHost } from "./transaction/host.ts";
import { type Candidate, Transactions } from "./transaction/transactions.ts";

export interface IntentControlOptions {
  readonly host: TransactionHost;
  /** files and directories */
  readonly paths: readonly string[];
  readonly nodeName: string;
  readonly nodeLabels: Readonly<Record<string, string>>;
  readonly stateDirectory: string;
  readonly epoch: string;
  readonly log: Log;
  readonly onRollback: (cause: RollbackCause) => void;
  readonly onConditions: () => void;
}

interface Files {
  readonly sources: Sources | null;
  /** null: they cannot be read, or do not hold together; `error` says why */
  readonly intent: Intent | null;
  readonly error: unknown;
}

/** At a start the gateways of a host that is up answer at once, and attach requests wait. */
const BOOT_LOOK = 1;

export class IntentControl {
  readonly #options: IntentControlOptions;
  readonly #store: IntentStore;
  #transactions: Transactions | null = null;
  /** what is wrong with the files */
  #condition: Condition | null = null;

  constructor(options: IntentControlOptions) {
    this.#options = options;
    this.#store = new IntentStore(new RecordFiles(join(options.stateDirectory, "intent")));
  }

  get conditions(): readonly Condition[] {
    return this.#condition === null ? [] : [this.#condition];
  }

  /** Puts an intent into force. Throws what is wrong with the files if there is nothing else to go by. */
  async start(): Promise<void> {
    const files = await this.#readFiles();
    const stored = this.#store.load();
    for (const damage of stored.damaged)
      this.#options.log.error({ damage }, "a file of the last good intent is unusable");
    const good = stored.good && this.#understand(stored.good.sources);
    const digest = files.sources?.digest ?? null;
    const known = good === null ? { ...stored, good: null } : stored;
    const decision = decideBoot(known, { digest, usable: files.intent !== null });
    if (decision.run === "files" || stored.good === null || good === null) await this.#startByFiles(files);
    else await this.#startByGood(files, good, stored, decision);
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
      this.#options.log.error({ err: error }, "the files did not come into force");
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

  async #startByFiles({ sources, intent, error }: Files): Promise<void> {
    const { host, log } = this.#options;
    if (sources === null || intent === null) throw error;
    await host.setIntent(intent);
    await host.settle();
    const savedAt = new Date().toISOString();
    const good = { generation: 1, sources, savedAt, filesDigest: sources.digest };
    try {
      await this.#store.saveFirst(good);
    } catch (cause) {
      log.error({ err: cause }, "the intent cannot be kept: the next start needs its files");
    }
    this.#begin({ sources, intent });
  }

  async #startByGood(
    files: Files,
    intent: Intent,
    stored: Stored,
    decision: BootDecision & { run: "good" },
  ): Promise<void> {
    const { host, log, onRollback } = this.#options;
    const { good, unfinished } = stored;
    if (good === null) throw new Error("there is no good intent");
    await host.setIntent(intent);
    if (unfinished !== null) {
      if (unfinished.epoch === this.#options.epoch) await host.restore(unfinished.links);
      await host.settle();
      onRollback("crash");
      const reason = "the daemon ended before the change was verified and confirmed";
      const outcome: Outcome = { id: unfinished.id, result: "rolled-back", cause: "crash", reason };
      log.warn(outcome, "an unfinished change was undone: the last good intent is in force");
      const { candidateDigest } = unfinished;
      await this.#note(() => this.#store.rolledBack({ candidateDigest, outcome, at: new Date().toISOString() }));
    }
    this.#begin({ sources: good.sources, intent });
    if (decision.files === "unusable") this.#blame(files.error);
    if (decision.files === "given-up") {
      const why = unfinished === null ? stored.givenUp?.outcome?.reason : "the daemon ended before it was confirmed";
      this.#say("ROLLED_BACK", `the files were tried and rolled back (${why ?? "the reason was not kept"})`);
    }
    if (decision.files !== "apply" || files.sources === null || files.intent === null) return;
    const candidate = { sources: files.sources, intent: files.intent };
    const { applied, decided } = this.#control.apply(candidate, { origin: "boot", look: BOOT_LOOK });
    decided.catch((error: unknown) => log.error({ err: error }, "the changed files did not come into force"));
    await applied;
  }

  #begin(inForce: Candidate): void {
    const { host, epoch, log, onRollback } = this.#options;
    this.#transactions = new Transactions(
      {
        ...{ host, epoch, log, onRollback, store: this.#store },
        filesDigest: async () => (await this.#readSources())?.digest ?? null,
        onEnd: (outcome, origin) => this.#ended(outcome, origin),
      },
      inForce,
      this.#store.load().good,
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
    if (texts !== undefined) {
      const sources = sourcesOf(texts);
      return { sources, intent: this.#parse(sources) };
    }
    const { sources, intent, error } = await this.#readFiles();
    if (sources !== null && intent !== null) return { sources, intent };
    throw error;
  }

  async #readFiles(): Promise<Files> {
    const { texts, errors } = await readTexts(this.#options.paths);
    const sources = errors.length > 0 ? null : sourcesOf(texts);
    try {
      return { sources, intent: this.#parse({ texts }, errors), error: null };
    } catch (error) {
      return { sources, intent: null, error };
    }
  }

  async #readSources(): Promise<Sources | null> {
    const { texts, errors } = await readTexts(this.#options.paths);
    return errors.length > 0 ? null : sourcesOf(texts);
  }

  #parse({ texts }: Pick<Sources, "texts">, errors: readonly PortwrightError[] = []): Intent {
    const { nodeName, nodeLabels } = this.#options;
    return intentOf(texts, { nodeName, nodeLabels }, errors);
  }

  /** null: this version does not take what another one took */
  #understand(sources: Sources): Intent | null {
    try {
      return this.#parse(sources);
    } catch (error) {
      this.#options.log.error({ err: error }, "the last good intent is not understood: going by the files");
      return null;
    }
  }
}
