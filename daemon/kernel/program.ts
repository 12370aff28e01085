/** A program that is run to its end, without a shell. */
export interface ProgramCall {
  readonly file: string;
  readonly env: Readonly<Record<string, string>>;
  readonly stdin: string;
  /** ms, at most 600,000; then it is killed with what it has started */
  readonly timeout: number;
  /** bytes of each of its two streams; the same */
  readonly maxOutput: number;
  /** is told, whenever it is more, all that was written to stdout so far */
  readonly onOutput?: (stdout: string) => void;
}

export interface ProgramEnd {
  /** -1: it was ended by `signal` */
  readonly exitCode: number;
  readonly signal: number;
  /** why we killed it; empty: we did not */
  readonly cut: "" | "timeout" | "output";
  readonly stdout: string;
  readonly stderr: string;
}
