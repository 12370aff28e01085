/**
 * JSON from outside, made safe: limited nesting, and no member named after what objects inherit (`__proto__`,
 * `constructor`, `prototype`), so that no later merge or lookup can be turned against us.
 */
import { PortwrightError } from "../errors.ts";

export const MAX_JSON_DEPTH = 32;

const forbidden = new Set(["__proto__", "constructor", "prototype"]);

/** `what` names the text in messages, e.g. "the body". */
export function parseJson(text: string, what: string): unknown {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new PortwrightError("REQUEST_INVALID", `${what} is not JSON: ${(error as Error).message}`);
  }
  check(value, what);
  return value;
}

/** A loop, not recursion: what is being checked is how deep it goes. */
function check(root: unknown, what: string): void {
  const open: { value: unknown; depth: number }[] = [{ value: root, depth: 0 }];
  for (let item = open.pop(); item !== undefined; item = open.pop()) {
    const { value, depth } = item;
    if (typeof value !== "object" || value === null) continue;
    if (depth >= MAX_JSON_DEPTH) {
      throw new PortwrightError("REQUEST_INVALID", `${what} is nested deeper than ${MAX_JSON_DEPTH} levels`);
    }
    for (const [key, child] of Object.entries(value)) {
      if (forbidden.has(key)) throw new PortwrightError("REQUEST_INVALID", `${what} has a member named "${key}"`);
      open.push({ value: child, depth: depth + 1 });
    }
  }
}
