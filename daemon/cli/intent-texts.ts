/** The files named on the command line, for the daemon to read; mistakes are told here already, all of them. */
import { hostname } from "node:os";
import { type IntentText, intentOf, readTexts } from "../intent/intent.ts";

/** undefined: none are named, and the daemon's own are meant */
export async function intentTexts(paths: readonly string[]): Promise<readonly IntentText[] | undefined> {
  if (paths.length === 0) return undefined;
  const { texts, errors } = await readTexts(paths);
  intentOf(texts, { nodeName: hostname(), nodeLabels: {} }, errors);
  if (texts.length === 0) throw new Error(`${paths.join(", ")}: there is no *.yaml, *.yml or *.json`);
  return texts;
}
