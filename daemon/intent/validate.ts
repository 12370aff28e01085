/** Checks a document against a schema; every fault becomes an error with its field, its reason and its place. */
import { Ajv, type ErrorObject } from "ajv";
import { type ErrorCode, PortwrightError } from "../errors.ts";
import { macFault, ZERO_MAC } from "../model/mac.ts";
import { parseNicRef } from "../model/nic-ref.ts";
import { isObject } from "../safe-json.ts";
import type { Schema } from "./schemas/common.ts";
import { type Path, type Source, printable } from "./source.ts";

const ajv = new Ajv({ allErrors: true, verbose: true, strict: true, allowUnionTypes: true, strictTypes: false });
ajv.addKeyword({ keyword: "x-must", schemaType: "string" });
ajv.addFormat("nic", (text: string) => parseNicRef(text) !== null);
ajv.addFormat("mac-or-empty", (mac: string) => mac === "" || macFault(mac) === null);
ajv.addFormat("mac-or-zero", (mac: string) => mac === ZERO_MAC || macFault(mac) === null);

/** Collects what is wrong with one document. `prefix` names the document inside its field, e.g. "spec.config". */
export class Check {
  readonly source: Source;
  readonly #prefix: string;
  readonly #errors: PortwrightError[];

  constructor(source: Source, errors: PortwrightError[], prefix = "") {
    this.source = source;
    this.#errors = errors;
    this.#prefix = prefix;
  }

  /** Says that the field at the path is wrong: "<field> <reason>". */
  refuse(path: Path, reason: string, code: ErrorCode = "INTENT_INVALID"): void {
    this.#push(code, `${this.#field(path)} ${reason}`, this.source.at(path));
  }

  /** The document, if it fits the schema; else what is wrong is told. */
  read<Raw>(schema: Schema<Raw>): Raw | undefined {
    const validate = ajv.compile<Raw>(schema); // at first; then what was compiled is found by the schema's identity
    const { value } = this.source;
    if (validate(value)) return value;
    const said = new Set<string>();
    for (const error of validate.errors ?? []) {
      // What an alternative wants is in the x-must beside the anyOf.
      if (error.schemaPath.includes("/anyOf/")) continue;
      const fault = this.#fault(error);
      if (said.has(fault.message)) continue;
      said.add(fault.message);
      this.#push(fault.code, fault.message, fault.onKey ? this.source.keyAt(fault.path) : this.source.at(fault.path));
    }
    return undefined;
  }

  #fault(error: ErrorObject): { code: ErrorCode; message: string; path: Path; onKey: boolean } {
    const path = pointer(error.instancePath, this.source.value);
    const parent = error.parentSchema as { properties?: object; "x-must"?: string } | undefined;
    if (error.keyword === "additionalProperties") {
      const name = (error.params as { additionalProperty: string }).additionalProperty;
      const inner = [...path, name];
      const known = Object.keys(parent?.properties ?? {}).join(", ");
      const message = `${this.#field(inner)} is not a known field; known here: ${known}`;
      return { code: "INTENT_UNKNOWN_FIELD", message, path: inner, onKey: true };
    }
    if (error.keyword === "required") {
      const name = (error.params as { missingProperty: string }).missingProperty;
      return { code: "INTENT_INVALID", message: `${this.#field([...path, name])} is missing`, path, onKey: false };
    }
    const must = parent?.["x-must"] ?? (error.message ?? "be valid").replace(/^must /, "");
    const message = `${this.#field(path)} must ${must}, not ${show(error.data)}`;
    return { code: "INTENT_INVALID", message, path, onKey: false };
  }

  #field(path: Path): string {
    const own = fieldName(path);
    if (this.#prefix === "") return own === "" ? "the document" : own;
    return own === "" ? this.#prefix : `${this.#prefix}: ${own}`;
  }

  #push(code: ErrorCode, message: string, place: ReturnType<Source["at"]>): void {
    this.#errors.push(new PortwrightError(code, message, { place }));
  }
}

/** `spec.uplink.nics[0]`, `metadata.labels["a/b"]` */
function fieldName(path: Path): string {
  return path.reduce<string>((name, step) => {
    if (typeof step === "number") return `${name}[${step}]`;
    if (!/^[\w$-]+$/.test(step)) return `${name}[${JSON.stringify(printable(step))}]`;
    return name === "" ? step : `${name}.${step}`;
  }, "");
}

/** A value for a message: short, one line. */
export function show(value: unknown): string {
  if (Array.isArray(value)) return value.length === 0 ? "an empty list" : "a list";
  if (value !== null && typeof value === "object") return "a map";
  const text = printable(JSON.stringify(value) ?? String(value));
  return text.length > 60 ? `${text.slice(0, 57)}…` : text;
}

/** JSON pointer (RFC 6901) to path; a step is a number where the value is a list. */
function pointer(text: string, root: unknown): Path {
  const path: (string | number)[] = [];
  let value = root;
  for (const escaped of text.split("/").slice(1)) {
    const step = escaped.replaceAll("~1", "/").replaceAll("~0", "~");
    path.push(Array.isArray(value) ? Number(step) : step);
    value = isObject(value) ? value[step] : Array.isArray(value) ? value[Number(step)] : undefined;
  }
  return path;
}
