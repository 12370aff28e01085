/** What a row says: figures against bounds. Pure. */
import type { Spread } from "./stats.ts";

export interface Bound {
  readonly sense: "at-least" | "at-most";
  readonly must: number;
  readonly aim: number;
  /** of must, aim and what is judged */
  readonly unit: "x" | "s" | "ms" | "MB" | "%";
}

export interface Figure {
  readonly what: string;
  readonly ours: number;
  readonly peer: number;
  readonly unit: string;
  readonly peerName: string;
  /** ours to peer, round by round */
  readonly ratio: Spread;
  readonly bound: Bound;
  /** what the bound is for: the ratio's median, or our own figure */
  readonly judged: "ratio" | "ours";
}

export type Verdict = "aim met" | "must met" | "MISSED";

export function verdict({ bound, ratio, ours, judged }: Figure): Verdict {
  const value = judged === "ratio" ? ratio.median : ours;
  const reaches = (limit: number): boolean => (bound.sense === "at-least" ? value >= limit : value <= limit);
  if (reaches(bound.aim)) return "aim met";
  return reaches(bound.must) ? "must met" : "MISSED"; // what is not a number reaches nothing
}

export interface RowReport {
  readonly figures: readonly Figure[];
  /** what a reader must know to believe them */
  readonly notes: readonly string[];
  /** every sample of every round, for the JSON */
  readonly samples: unknown;
}
