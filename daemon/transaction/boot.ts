/** What a start makes of the files and of what the last life left behind. Pure. */
import type { Stored } from "./intent-store.ts";

export interface BootFiles {
  /** null: they cannot be read */
  readonly digest: string | null;
  /** they hold together */
  readonly usable: boolean;
}

export type BootDecision =
  /** there is nothing else */
  | { readonly run: "files" }
  | {
      readonly run: "good";
      /** "apply": the files were changed since the last decision. "given-up": they were tried and rolled back. */
      readonly files: "same" | "apply" | "unusable" | "given-up";
      /** the last life ended amid a change */
      readonly undo: boolean;
    };

/**
 * The last good intent comes first, always: it is known to work, and after a restart of the daemon alone it writes
 * nothing. Files count if they are not what was decided on already; those of a change that was cut off are given up, so
 * that an intent which takes the host down is not tried at every start.
 */
export function decideBoot(
  { good, unfinished, givenUp }: Pick<Stored, "good" | "unfinished" | "givenUp">,
  files: BootFiles,
): BootDecision {
  if (good === null) return { run: "files" };
  const undo = unfinished !== null;
  const tried = unfinished ?? givenUp;
  if (!files.usable) return { run: "good", files: "unusable", undo };
  if (tried !== null && tried.candidateDigest === files.digest) return { run: "good", files: "given-up", undo };
  return { run: "good", files: files.digest === good.filesDigest ? "same" : "apply", undo };
}
