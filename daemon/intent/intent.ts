/** Files to intent. The only place of this room that reads a disk. */
import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { PortwrightError } from "../errors.ts";
import type { Intent } from "../model/resources.ts";
import { codeOf } from "../thrown.ts";
import { type Host, toIntent } from "./cross-checks.ts";
import { throwIfAny } from "./intent-errors.ts";
import { noResources, readResources } from "./parse.ts";

export type { Host } from "./cross-checks.ts";
export { IntentErrors } from "./intent-errors.ts";

/** Throws IntentErrors, which holds all that is wrong. `file` is for messages. */
export function parseIntent(text: string, file: string, host: Host): Intent {
  return fromTexts([{ text, file }], host, []);
}

/**
 * Reads files, and of directories every *.yaml, *.yml and *.json, in order of name. Throws IntentErrors. References
 * cross files; a resource is defined once among all of them.
 */
export async function loadIntent(paths: readonly string[], host: Host): Promise<Intent> {
  const { texts, errors } = await readTexts(paths);
  return fromTexts(texts, host, errors);
}

export interface IntentText {
  readonly file: string;
  readonly text: string;
}

/** The same, of texts that were read before, and of what was wrong with reading them. */
export function intentOf(texts: readonly IntentText[], host: Host, errors: readonly PortwrightError[] = []): Intent {
  return fromTexts(texts, host, [...errors]);
}

/** The texts as they are; nothing is understood yet. `errors`: what could not be read. */
export async function readTexts(
  paths: readonly string[],
): Promise<{ readonly texts: readonly IntentText[]; readonly errors: PortwrightError[] }> {
  const errors: PortwrightError[] = [];
  const texts: IntentText[] = [];
  for (const path of paths) {
    for (const file of await filesOf(path, errors)) {
      try {
        texts.push({ text: new TextDecoder("utf-8", { fatal: true }).decode(await readFile(file)), file });
      } catch (error) {
        errors.push(fileError(file, error));
      }
    }
  }
  return { texts, errors };
}

function fromTexts(texts: readonly { text: string; file: string }[], host: Host, errors: PortwrightError[]): Intent {
  const resources = noResources();
  for (const { text, file } of texts) readResources(text, file, resources, errors);
  const intent = toIntent(resources, host, errors);
  throwIfAny(
    inOrder(
      errors,
      texts.map(({ file }) => file),
    ),
  );
  return intent;
}

/** As somebody reads the files from top to bottom. */
function inOrder(errors: readonly PortwrightError[], files: readonly string[]): readonly PortwrightError[] {
  const rank = ({ place }: PortwrightError): readonly number[] =>
    place === undefined ? [-1] : [files.indexOf(place.file), place.line, place.column];
  return [...errors].sort((a, b) => {
    const [x, y] = [rank(a), rank(b)];
    const differing = x.findIndex((value, i) => value !== y[i]);
    return differing < 0 ? 0 : (x[differing] ?? 0) - (y[differing] ?? 0);
  });
}

async function filesOf(path: string, errors: PortwrightError[]): Promise<readonly string[]> {
  try {
    if (!(await stat(path)).isDirectory()) return [path];
    const names = (await readdir(path)).filter((name) => /^[^.].*\.(ya?ml|json)$/.test(name));
    return names.sort().map((name) => join(path, name));
  } catch (error) {
    errors.push(fileError(path, error));
    return [];
  }
}

function fileError(file: string, error: unknown): PortwrightError {
  const code = codeOf(error);
  const reasons: Readonly<Record<string, string>> = {
    ENOENT: "does not exist",
    EACCES: "may not be read",
    EISDIR: "is a directory",
    ERR_ENCODING_INVALID_ENCODED_DATA: "is not UTF-8 text",
  };
  const reason = reasons[code ?? ""] ?? `cannot be read: ${code ?? String(error)}`;
  const syntax = code === "ERR_ENCODING_INVALID_ENCODED_DATA";
  return new PortwrightError(syntax ? "INTENT_SYNTAX" : "INTENT_FILE", `${file} ${reason}`, {
    place: { file, line: 1, column: 1 },
    cause: error,
  });
}
