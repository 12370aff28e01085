/**
 * Typed reading of JSON that came from outside. Every refusal names the field. As in Go, whose plugins set the custom,
 * null means absent.
 */
import { PortwrightError, type ErrorCode } from "../errors.ts";
import { isObject, type JsonObject, parseJson } from "../safe-json.ts";

/** `what`: the text's name in messages, such as "the network configuration". */
export function parseJsonObject(text: string, what: string, code: ErrorCode): JsonObject {
  const value = parseJson(text, what, code);
  if (!isObject(value)) throw new PortwrightError(code, `${what} is not a JSON object`);
  return value;
}

/** Reads the members of one object; `path` is where it stands, for messages. */
export class Fields {
  readonly #object: JsonObject;
  readonly #path: string;
  readonly #code: ErrorCode;

  constructor(object: JsonObject, path: string, code: ErrorCode) {
    this.#object = object;
    this.#path = path;
    this.#code = code;
  }

  has(key: string): boolean {
    return Object.hasOwn(this.#object, key) && this.#object[key] !== null && this.#object[key] !== undefined;
  }

  string(key: string): string | undefined {
    const value = this.#get(key);
    if (value !== undefined && typeof value !== "string") throw this.refuse(key, "must be a string", value);
    return value;
  }

  boolean(key: string): boolean | undefined {
    const value = this.#get(key);
    if (value !== undefined && typeof value !== "boolean") throw this.refuse(key, "must be true or false", value);
    return value;
  }

  integer(key: string, min: number, max: number): number | undefined {
    const value = this.#get(key);
    if (value === undefined) return undefined;
    if (typeof value !== "number" || !Number.isInteger(value) || value < min || value > max)
      throw this.refuse(key, `must be a whole number ${min}-${max}`, value);
    return value;
  }

  object(key: string): Fields | undefined {
    const value = this.#get(key);
    if (value === undefined) return undefined;
    if (!isObject(value)) throw this.refuse(key, "must be an object", value);
    return new Fields(value, this.#at(key), this.#code);
  }

  objects(key: string): readonly Fields[] | undefined {
    return this.#array(key)?.map((value, i) => {
      if (!isObject(value)) throw this.refuse(`${key}[${i}]`, "must be an object", value);
      return new Fields(value, this.#at(`${key}[${i}]`), this.#code);
    });
  }

  strings(key: string): readonly string[] | undefined {
    return this.#array(key)?.map((value, i) => {
      if (typeof value !== "string") throw this.refuse(`${key}[${i}]`, "must be a string", value);
      return value;
    });
  }

  refuse(key: string, what: string, value?: unknown): PortwrightError {
    const given = value === undefined ? "" : `, not ${shorten(JSON.stringify(value))}`;
    return new PortwrightError(this.#code, `${this.#at(key)} ${what}${given}`);
  }

  #array(key: string): readonly unknown[] | undefined {
    const value = this.#get(key);
    if (value !== undefined && !Array.isArray(value)) throw this.refuse(key, "must be a list", value);
    return value;
  }

  #get(key: string): unknown {
    return this.has(key) ? this.#object[key] : undefined;
  }

  #at(key: string): string {
    return this.#path === "" ? key : `${this.#path}.${key}`;
  }
}

function shorten(text: string): string {
  return text.length > 60 ? `${text.slice(0, 57)}...` : text;
}
