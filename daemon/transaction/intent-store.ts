/**
 * What a start needs to come up without files and without a server: the last good intent, as the texts it was written in,
 * so that a later version reads it with its own rules. Beside it, while a change is under way, the way back from it.
 *
 *   good.json          in force, and verified
 *   previous.json      what was so before; stands in if good.json cannot be read
 *   candidate.json     becomes good.json: the commit is a rename, which a full disk does not stop
 *   transaction.json   there from before the first step until commit or roll-back: found at a start, it is the crash
 *   rolled-back.json   what was tried last and given up
 */
import { createHash } from "node:crypto";
import { PortwrightError } from "../errors.ts";
import { parseJson } from "../safe-json.ts";
import type { RecordFiles } from "../state/record-files.ts";
import { messageOf } from "../thrown.ts";
import type { SavedLink } from "../model/saved-links.ts";
import type { Outcome } from "../model/transaction.ts";

export interface IntentText {
  readonly file: string;
  readonly text: string;
}

/** An intent as it was given. */
export interface Sources {
  readonly texts: readonly IntentText[];
  readonly digest: string;
}

export interface GoodIntent {
  readonly generation: number;
  readonly sources: Sources;
  /** ISO 8601 */
  readonly savedAt: string;
  /** of the daemon's own files at that time: files that are still these have been dealt with. null: they were unreadable */
  readonly filesDigest: string | null;
}

/** The way back. */
export interface Checkpoint {
  readonly id: string;
  readonly startedAt: string;
  readonly candidateDigest: string;
  /** which life of the host's links `links` speaks of */
  readonly epoch: string;
  /** settings that the change alters, as they were */
  readonly links: readonly SavedLink[];
  /** what the change does, for people */
  readonly steps: readonly string[];
}

export interface GivenUp {
  readonly candidateDigest: string;
  readonly outcome: Outcome;
  readonly at: string;
}

export interface Stored {
  readonly good: GoodIntent | null;
  /** a change that neither ended well nor was undone */
  readonly unfinished: Checkpoint | null;
  readonly givenUp: GivenUp | null;
  /** files that could not be read, and why */
  readonly damaged: readonly string[];
}

export function sourcesOf(texts: readonly IntentText[]): Sources {
  const plain = texts.map(({ file, text }) => ({ file, text }));
  return { texts: plain, digest: sha256(JSON.stringify(plain)) };
}

const FORMAT = 1;
const GOOD = "good.json";
const PREVIOUS = "previous.json";
const CANDIDATE = "candidate.json";
const TRANSACTION = "transaction.json";
const ROLLED_BACK = "rolled-back.json";

export class IntentStore {
  readonly #files: RecordFiles;

  constructor(files: RecordFiles) {
    this.#files = files;
  }

  load(): Stored {
    const damaged: string[] = [];
    const read = <T>(name: string): T | null => {
      if (!this.#files.has(name)) return null;
      try {
        return decode<T>(this.#files.read(name));
      } catch (error) {
        damaged.push(`${name}: ${messageOf(error)}`);
        return null;
      }
    };
    const good = read<GoodIntent>(GOOD) ?? read<GoodIntent>(PREVIOUS);
    const unfinished = this.#unfinished(good, read<Checkpoint>(TRANSACTION));
    return { good, unfinished, givenUp: read<GivenUp>(ROLLED_BACK), damaged };
  }

  /** The first one, for which there is no way back. */
  async saveFirst(good: GoodIntent): Promise<void> {
    await this.prepare(good);
    await this.commit();
  }

  /** Before the first step: all that needs room on the disk is written here. */
  async prepare(candidate: GoodIntent, checkpoint?: Checkpoint): Promise<void> {
    await this.#files.writeDurably(CANDIDATE, encode(candidate));
    if (checkpoint !== undefined) await this.#files.writeDurably(TRANSACTION, encode(checkpoint));
  }

  /** From the rename on the change is permanent, also if what follows it is cut off. */
  async commit(): Promise<void> {
    await this.#files.promote(CANDIDATE, GOOD, PREVIOUS);
    await this.#files.removeDurably(TRANSACTION);
    await this.#files.removeDurably(ROLLED_BACK);
  }

  /** After the last step of the way back. With a full disk the checkpoint itself becomes the note. */
  async rolledBack(note: GivenUp): Promise<void> {
    try {
      await this.#files.writeDurably(ROLLED_BACK, encode(note));
      await this.#files.removeDurably(TRANSACTION);
    } catch {
      if (this.#files.has(TRANSACTION)) await this.#files.rename(TRANSACTION, ROLLED_BACK);
    }
    await this.#files.removeDurably(CANDIDATE);
  }

  /** The candidate was not tried. */
  async drop(): Promise<void> {
    await this.#files.removeDurably(TRANSACTION);
    await this.#files.removeDurably(CANDIDATE);
  }

  /** Cut off between the commit's rename and its end: it is committed. */
  #unfinished(good: GoodIntent | null, checkpoint: Checkpoint | null): Checkpoint | null {
    if (checkpoint !== null && checkpoint.candidateDigest !== good?.sources.digest) return checkpoint;
    if (this.#files.has(TRANSACTION) && checkpoint !== null) this.#files.remove(TRANSACTION);
    return null;
  }
}

function encode(record: GoodIntent | Checkpoint | GivenUp): string {
  const text = JSON.stringify(record);
  return `{"version":${FORMAT},"checksum":"${sha256(text)}","record":${text}}\n`;
}

/** Throws if the text is not what encode made. */
function decode<T>(text: string): T {
  const file = parseJson(text, "the file", "STATE_IO") as { version?: unknown; checksum?: unknown; record?: unknown };
  if (file.version !== FORMAT) throw corrupt(`its format ${JSON.stringify(file.version)} is not known`);
  // Parsing and writing keep the order of keys, so the text is what was summed.
  if (file.checksum !== sha256(JSON.stringify(file.record))) throw corrupt("its checksum does not match");
  return file.record as T;
}

function corrupt(why: string): PortwrightError {
  return new PortwrightError("STATE_IO", why);
}

function sha256(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}
