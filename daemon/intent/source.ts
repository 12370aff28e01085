/** YAML (or JSON, which is YAML) in; values out that remember where every field of theirs was written. */
import {
  type Document,
  isAlias,
  isMap,
  isNode,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  type Pair,
  parseAllDocuments,
  type Scalar,
  type YAMLError,
} from "yaml";
import { PortwrightError } from "../errors.ts";
import type { Place } from "../model/resources.ts";
import { FORBIDDEN_KEYS, MAX_DEPTH } from "../safe-json.ts";
import { jsonFault } from "./json-fault.ts";

export type Path = readonly (string | number)[];

/** One document. Places of what is absent are those of the nearest thing around it. */
export interface Source {
  readonly value: unknown;
  /** of the value at the path */
  readonly at: (path: Path) => Place;
  /** of the key that the path ends in */
  readonly keyAt: (path: Path) => Place;
  /** the text at the path, and where each of its characters stands in the file; null if there is no text */
  readonly textAt: (path: Path) => { readonly text: string; readonly placeOf: (offset: number) => Place } | null;
}

/** A resource is small: beyond these, a file is an accident or an attack (aliases that multiply). */
const MAX_VALUES = 50_000;
const MAX_CHARACTERS = 8 * 1024 * 1024;

/** Documents that hold something; what is wrong goes to `errors`, and the document is left out. */
export function readYaml(text: string, file: string, errors: PortwrightError[]): Source[] {
  const lines = new LineCounter();
  const place = (offset: number): Place => placeIn(file, lines, offset);
  if (text.length > MAX_CHARACTERS) {
    errors.push(
      new PortwrightError("INTENT_SYNTAX", `the file is larger than ${MAX_CHARACTERS} characters`, at0(file)),
    );
    return [];
  }
  return parse(text, lines, place, errors).flatMap((document) => {
    const source = toSource(document, text, place, errors);
    return source === null || source.value === null ? [] : [source];
  });
}

/**
 * JSON inside a text field, such as a network attachment's `spec.config`. Strict JSON is demanded; the YAML reader, for
 * which it is a subset, then tells where things are.
 */
export function readEmbeddedJson(outer: Source, path: Path, what: string, errors: PortwrightError[]): Source | null {
  const field = outer.textAt(path);
  if (field === null) return null;
  const place = (offset: number): Place => field.placeOf(offset);
  const fault = jsonFault(field.text);
  if (fault !== null) {
    const message = `${what} is not JSON: ${fault.reason}`;
    errors.push(new PortwrightError("INTENT_SYNTAX", message, { place: place(fault.offset) }));
    return null;
  }
  const document = parse(field.text, new LineCounter(), place, errors)[0];
  return document === undefined ? null : toSource(document, field.text, place, errors);
}

/** Control characters out, so that a message stays one line of text. */
export function printable(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  return text.replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]+/g, " ").slice(0, 200);
}

function placeIn(file: string, lines: LineCounter, offset: number): Place {
  const { line, col } = lines.linePos(offset);
  return { file, line: Math.max(line, 1), column: Math.max(col, 1) };
}
function at0(file: string): { place: Place } {
  return { place: { file, line: 1, column: 1 } };
}

function parse(
  text: string,
  lineCounter: LineCounter,
  place: (offset: number) => Place,
  errors: PortwrightError[],
): Document[] {
  try {
    const parsed = parseAllDocuments(text, {
      lineCounter,
      prettyErrors: false,
      uniqueKeys: true,
      version: "1.2",
      schema: "core",
      logLevel: "silent",
    });
    return Array.isArray(parsed) ? [...parsed] : [];
  } catch (error) {
    // The reader recurses: text nested without end exhausts the stack rather than giving an error of its own.
    const reason = error instanceof RangeError ? "nested too deeply" : printable(String(error));
    errors.push(new PortwrightError("INTENT_SYNTAX", `cannot be read: ${reason}`, { place: place(0), cause: error }));
    return [];
  }
}

function toSource(
  document: Document,
  text: string,
  place: (offset: number) => Place,
  errors: PortwrightError[],
): Source | null {
  const faults: readonly YAMLError[] = [...document.errors, ...document.warnings];
  for (const fault of faults) {
    const code = fault.code === "DUPLICATE_KEY" ? "INTENT_DUPLICATE" : "INTENT_SYNTAX";
    errors.push(new PortwrightError(code, printable(fault.message), { place: place(fault.pos[0]) }));
  }
  if (faults.length > 0) return null;
  const reader = new Reader(document, place);
  let value: unknown;
  try {
    value = reader.value(document.contents, 0);
  } catch (error) {
    if (!(error instanceof PortwrightError)) throw error;
    errors.push(error);
    return null;
  }
  if (reader.faults.length > 0) {
    errors.push(...reader.faults);
    return null;
  }
  const root = document.contents;
  const offsetOf = (node: Node | null | undefined): number => node?.range?.[0] ?? root?.range?.[0] ?? 0;
  return {
    value,
    at: (path) => place(offsetOf(walk(document, path).node)),
    keyAt: (path) => {
      const found = walk(document, path);
      return place(offsetOf(found.key ?? found.node));
    },
    textAt: (path) => {
      const { node, exact } = walk(document, path);
      if (!exact || !isScalar(node) || typeof node.value !== "string") return null;
      const offsets = textOffsets(node, text);
      return { text: node.value, placeOf: (offset) => place(offsets(offset)) };
    },
  };
}

/** The node at the path, or as near to it as there is. */
function walk(document: Document, path: Path): { node: Node | null; key: Node | null; exact: boolean } {
  let node: Node | null = document.contents;
  let key: Node | null = null;
  for (const step of path) {
    const inner = isAlias(node) ? (node.resolve(document) ?? null) : node;
    let next: unknown;
    if (isMap(inner)) {
      const pair = inner.items.find((item) => isScalar(item.key) && item.key.value === step);
      if (pair === undefined) return { node, key: null, exact: false };
      key = isNode(pair.key) ? pair.key : null;
      next = pair.value;
    } else if (isSeq(inner) && typeof step === "number") {
      key = null;
      next = inner.items[step];
    }
    if (!isNode(next)) return { node: key ?? node, key, exact: false };
    node = next;
  }
  if (isAlias(node)) node = node.resolve(document) ?? node;
  return { node, key, exact: true };
}

class Reader {
  readonly faults: PortwrightError[] = [];
  readonly #document: Document;
  readonly #place: (offset: number) => Place;
  readonly #open = new Set<Node>();
  #values = 0;

  constructor(document: Document, place: (offset: number) => Place) {
    this.#document = document;
    this.#place = place;
  }

  value(node: unknown, depth: number): unknown {
    if (!isNode(node)) return null;
    if (++this.#values > MAX_VALUES) throw this.#fault(node, `holds more than ${MAX_VALUES} values`);
    if (depth > MAX_DEPTH) throw this.#fault(node, `is nested deeper than ${MAX_DEPTH}`);
    if (isScalar(node)) return node.value;
    const inner = isAlias(node) ? node.resolve(this.#document) : node;
    if (inner === undefined) throw this.#fault(node, "refers to an anchor that is not there");
    if (this.#open.has(inner)) throw this.#fault(node, "refers to itself");
    this.#open.add(inner);
    try {
      if (isMap(inner)) return this.#map(inner.items, depth);
      if (isSeq(inner)) return inner.items.map((item) => this.value(item, depth + 1));
      return isScalar(inner) ? inner.value : null;
    } finally {
      this.#open.delete(inner);
    }
  }

  #map(items: readonly Pair[], depth: number): Record<string, unknown> {
    const result: Record<string, unknown> = {};
    for (const { key, value } of items) {
      const name = isScalar(key) ? key.value : undefined;
      if (typeof name !== "string") {
        this.faults.push(this.#fault(key, "a key must be text: put it in quotes", "INTENT_INVALID"));
      } else if (FORBIDDEN_KEYS.has(name)) {
        this.faults.push(this.#fault(key, `the key ${name} is refused`, "INTENT_UNKNOWN_FIELD"));
      } else {
        result[name] = this.value(value, depth + 1);
      }
    }
    return result;
  }

  #fault(
    node: unknown,
    reason: string,
    code: "INTENT_SYNTAX" | "INTENT_INVALID" | "INTENT_UNKNOWN_FIELD" = "INTENT_SYNTAX",
  ) {
    const message = code === "INTENT_SYNTAX" ? `the document ${reason}` : reason;
    return new PortwrightError(code, message, {
      place: this.#place((isNode(node) ? node.range?.[0] : undefined) ?? 0),
    });
  }
}

/** Where the characters of a text value stand in the file. Exact unless escapes or folding moved them. */
function textOffsets(node: Scalar, file: string): (offset: number) => number {
  const [start, end] = node.range ?? [0, 0];
  const value = String(node.value);
  const raw = file.slice(start, end);
  if (node.type !== "BLOCK_LITERAL") {
    const verbatim = value.includes("\n") ? -1 : raw.indexOf(value);
    return verbatim < 0 ? () => start : (offset) => start + verbatim + Math.min(offset, value.length);
  }
  // A literal block keeps its lines; each lost the same indentation.
  const rawLines = raw.slice(raw.indexOf("\n") + 1).split("\n");
  const lineStarts: number[] = [];
  let next = start + raw.indexOf("\n") + 1;
  for (const line of rawLines) {
    lineStarts.push(next);
    next += line.length + 1;
  }
  const valueLines = value.split("\n");
  const first = valueLines.findIndex((line) => line.trim() !== "");
  const indent = (rawLines[first]?.length ?? 0) - (valueLines[first]?.length ?? 0);
  return (offset) => {
    const before = value.slice(0, offset).split("\n");
    const line = before.length - 1;
    return (lineStarts[line] ?? start) + Math.max(indent, 0) + (before[line]?.length ?? 0);
  };
}
