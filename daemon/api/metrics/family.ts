/**
 * Metrics that are computed when they are scraped. prom-client's own classes hash the labels of every series on every
 * write; given an object with get() it only formats, and it keeps the text of a label object that it has met before in
 * `sharedLabels` (registry.js, flattenSharedLabels). So label objects are made once and kept.
 */
import type { Metric, Registry } from "prom-client";

export type Labels = Readonly<Record<string, string>>;

export interface Series {
  readonly sharedLabels: Labels;
  readonly value: number;
}

export const PREFIX = "portwright_";

export interface FamilyOptions {
  /** without the prefix */
  readonly name: string;
  readonly help: string;
  readonly type: "counter" | "gauge";
  readonly read: () => Promise<readonly Series[]>;
}

interface Head {
  readonly name: string;
  readonly help: string;
  readonly type: "counter" | "gauge";
  readonly aggregator: "sum";
}

export interface ComputedFamily extends Head {
  get(): Promise<Head & { readonly values: readonly Series[] }>;
}

const computed = new WeakSet<object>();

export function isComputed(metric: unknown): metric is ComputedFamily {
  return typeof metric === "object" && metric !== null && computed.has(metric);
}

export function addFamily(registry: Registry, { name, help, type, read }: FamilyOptions): void {
  const head: Head = { name: PREFIX + name, help, type, aggregator: "sum" };
  const family = {
    ...head,
    get: async () => ({ ...head, values: await read() }),
    reset: () => {}, // there is nothing here to reset: the truth is elsewhere
  };
  computed.add(family);
  register(registry, family);
}

/** The registry asks no more of a metric than this, but its types want the class with the write methods. */
export function register(registry: Registry, family: ComputedFamily): void {
  registry.registerMetric(family as unknown as Metric);
}

const MAX_LABEL = 128;

/** Labels of ours are bounded sets of names; names from outside get a bounded length and no control characters. */
export function label(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  return text.slice(0, MAX_LABEL).replace(/[\u0000-\u001f\u007f]/g, "?");
}

/** Label objects by key. `sweep` forgets those not asked for since the last sweep. */
export class LabelCache {
  #kept = new Map<string, Labels>();
  #used = new Map<string, Labels>();

  get(key: string, make: () => Labels): Labels {
    const found = this.#used.get(key) ?? this.#kept.get(key) ?? make();
    this.#used.set(key, found);
    return found;
  }

  sweep(): void {
    this.#kept = this.#used;
    this.#used = new Map();
  }
}

/**
 * A sum over parts that come and go, which never falls: what a removed port had counted stays counted, as a counter
 * must not go down except when the daemon restarts.
 */
export class MonotonicSum {
  readonly #last = new Map<number, bigint>();
  readonly #totals = new Map<string, bigint>();

  /** `parts`: id, group and count of every part that there is now */
  update(
    parts: Iterable<{ readonly id: number; readonly group: string; readonly count: bigint }>,
  ): ReadonlyMap<string, bigint> {
    const seen = new Set<number>();
    for (const { id, group, count } of parts) {
      seen.add(id);
      const before = this.#last.get(id) ?? 0n;
      const grown = count >= before ? count - before : count; // smaller: the id was given to another part
      this.#last.set(id, count);
      this.#totals.set(group, (this.#totals.get(group) ?? 0n) + grown);
    }
    for (const id of this.#last.keys()) if (!seen.has(id)) this.#last.delete(id);
    return this.#totals;
  }

  keepGroups(groups: ReadonlySet<string>): void {
    for (const group of this.#totals.keys()) if (!groups.has(group)) this.#totals.delete(group);
  }
}
