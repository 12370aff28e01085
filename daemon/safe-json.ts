/**
 * JSON from outside, made safe: limited nesting, and no key named after what objects inherit, so that no later merge or
 * lookup can be turned against us. Pure.
 */
import { type ErrorCode, PortwrightError } from "./errors.ts";
import { messageOf } from "./thrown.ts";

export type JsonObject = { readonly [key: string]: unknown };

export function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Lists and objects one inside the other; also of YAML. */
export const MAX_DEPTH = 32;
/** They reach into JavaScript's own machinery once an object is copied or merged. */
export const FORBIDDEN_KEYS: ReadonlySet<string> = new Set(["__proto__", "constructor", "prototype"]);

/** `what` names the text in messages, such as "the body". */
export function parseJson(text: string, what: string, code: ErrorCode): unknown {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new PortwrightError(code, `${what} is not JSON: ${messageOf(cause)}`, { cause });
  }
  refuseUnsafe(value, what, code);
  return value;
}

/** A loop, not recursion: what is being checked is how deep it goes. */
function refuseUnsafe(root: unknown, what: string, code: ErrorCode): void {
  const open: { value: unknown; depth: number }[] = [{ value: root, depth: 0 }];
  for (let item = open.pop(); item !== undefined; item = open.pop()) {
    const { value, depth } = item;
    if (typeof value !== "object" || value === null) continue;
    if (depth >= MAX_DEPTH) throw new PortwrightError(code, `${what} is nested deeper than ${MAX_DEPTH} levels`);
    for (const [key, child] of Object.entries(value)) {
      if (FORBIDDEN_KEYS.has(key)) throw new PortwrightError(code, `${what} has a key named "${key}"`);
      open.push({ value: child, depth: depth + 1 });
    }
  }
}
