/** What every row is given, and what it gives. */
import type { RowReport } from "./figure.ts";
import type { Programs } from "./programs.ts";
import type { Scope } from "./scope.ts";

export interface RowContext {
  readonly scope: Scope;
  readonly programs: Programs;
  /** fewer and shorter rounds: to see that it works, not to believe */
  readonly quick: boolean;
  readonly log: (line: string) => void;
}

export interface Row {
  readonly name: string;
  run(context: RowContext): Promise<RowReport>;
}
