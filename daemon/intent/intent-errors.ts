/** All that is wrong with the files, not only the first thing. */
import { PortwrightError } from "../errors.ts";

export class IntentErrors extends PortwrightError {
  /** at least one; in the order of the files */
  readonly errors: readonly PortwrightError[];

  constructor(errors: readonly [PortwrightError, ...PortwrightError[]]) {
    const [first] = errors;
    const more = errors.length === 1 ? "" : ` (and ${errors.length - 1} more)`;
    super(first.code, first.message + more, first.place === undefined ? {} : { place: first.place });
    this.errors = errors;
  }

  /** one line an error */
  override toString(): string {
    return this.errors.map((error) => error.toString()).join("\n");
  }
}

export function throwIfAny(errors: readonly PortwrightError[]): void {
  const [first, ...rest] = errors;
  if (first !== undefined) throw new IntentErrors([first, ...rest]);
}
