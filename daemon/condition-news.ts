/** Conditions as they come and go: each is told once, when it is new. */
import type { Condition } from "./model/target.ts";

export class ConditionNews {
  #known: readonly Condition[] = [];
  readonly #tell: (condition: Condition) => void;

  constructor(tell: (condition: Condition) => void) {
    this.#tell = tell;
  }

  follow(conditions: readonly Condition[]): void {
    const known = new Set(this.#known.map(keyOf));
    this.#known = conditions;
    for (const condition of conditions) if (!known.has(keyOf(condition))) this.#tell(condition);
  }

  /** something was wrong with it when it was looked at last */
  concern(object: string): boolean {
    return this.#known.some((condition) => condition.object === object);
  }
}

function keyOf({ code, object, message }: Condition): string {
  return `${code} ${object} ${message}`;
}
