/** Where a host's intent comes from: the operator's files, and the last good intent, which is kept in the state directory. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { type IntentText, intentOf, readTexts } from "./intent/intent.ts";
import type { Intent } from "./model/resources.ts";
import type { Settings } from "./settings.ts";
import { RecordFiles } from "./state/record-files.ts";
import { type BootDecision, decideBoot } from "./transaction/boot.ts";
import { type GoodIntent, IntentStore, type Sources, sourcesOf, type Stored } from "./transaction/intent-store.ts";
import type { Candidate } from "./transaction/transactions.ts";

/** The operator's files. A fault leaves `sources` if they can be read but do not hold together. */
export type Files =
  | (Candidate & { readonly fault: null })
  | { readonly sources: Sources | null; readonly fault: Fault };

interface Fault {
  readonly error: unknown;
}

/** What a start has to go by. */
export type FoundIntent = { readonly damaged: readonly string[]; readonly misunderstood: unknown } & (
  | { readonly run: "files"; readonly files: Candidate }
  | {
      readonly run: "good";
      readonly files: Files;
      readonly good: GoodIntent;
      readonly intent: Intent;
      readonly stored: Stored;
      readonly decision: BootDecision & { run: "good" };
    }
);

type SourceSettings = Pick<Settings, "intent" | "nodeName" | "nodeLabels" | "stateDirectory">;

export class IntentSources {
  readonly #settings: SourceSettings;
  #store: IntentStore | null = null;
  /** the files as they were understood last */
  #parsed: Candidate | null = null;

  constructor(settings: SourceSettings) {
    this.#settings = settings;
  }

  /** Makes its directory, if need be: to be asked for by whoever holds the lock on the state directory. */
  get store(): IntentStore {
    this.#store ??= new IntentStore(new RecordFiles(this.#directory));
    return this.#store;
  }

  /** A first start has its files and nothing else: throws what is wrong with them, before a directory is made. */
  async check(): Promise<void> {
    const { fault } = await this.files();
    if (fault !== null && !existsSync(this.#directory)) throw fault.error;
  }

  /** Throws what is wrong with the files if there is nothing else to go by. */
  async look(): Promise<FoundIntent> {
    const files = await this.files();
    const loaded = this.store.load();
    const { damaged } = loaded;
    const { intent, misunderstood } = this.#understand(loaded.good);
    const stored = intent === null ? { ...loaded, good: null } : loaded;
    const digest = files.sources?.digest ?? null;
    const decision = decideBoot(stored, { digest, usable: files.fault === null });
    if (decision.run === "good" && stored.good !== null && intent !== null)
      return { run: "good", files, good: stored.good, intent, stored, decision, damaged, misunderstood };
    if (files.fault !== null) throw files.fault.error;
    return { run: "files", files, damaged, misunderstood };
  }

  async files(): Promise<Files> {
    const { texts, errors } = await readTexts(this.#settings.intent);
    const sources = sourcesOf(texts);
    // Most are asked for again just as they are: plan, then apply.
    if (errors.length === 0 && this.#parsed?.sources.digest === sources.digest) return { ...this.#parsed, fault: null };
    try {
      this.#parsed = { sources, intent: this.#parse(texts, errors) };
      return { ...this.#parsed, fault: null };
    } catch (error) {
      return { sources: errors.length === 0 ? sources : null, fault: { error } };
    }
  }

  /** Texts that somebody sent. Throws what is wrong with them. */
  given(texts: readonly IntentText[]): Candidate {
    const sources = sourcesOf(texts);
    return { sources, intent: this.#parse(sources.texts) };
  }

  /** null: the files cannot be read */
  async digest(): Promise<string | null> {
    const { texts, errors } = await readTexts(this.#settings.intent);
    return errors.length > 0 ? null : sourcesOf(texts).digest;
  }

  /** This version may not take what another one took. */
  #understand(good: GoodIntent | null): { readonly intent: Intent | null; readonly misunderstood: unknown } {
    if (good === null) return { intent: null, misunderstood: null };
    try {
      return { intent: this.#parse(good.sources.texts), misunderstood: null };
    } catch (misunderstood) {
      return { intent: null, misunderstood };
    }
  }

  get #directory(): string {
    return join(this.#settings.stateDirectory, "intent");
  }

  #parse(texts: readonly IntentText[], errors: Parameters<typeof intentOf>[2] = []): Intent {
    const { nodeName, nodeLabels } = this.#settings;
    return intentOf(texts, { nodeName, nodeLabels }, errors);
  }
}
