/** The records of attachments on disk, by the names of their files. */
import { readdirSync } from "node:fs";
import { join } from "node:path";

/** Files that wait to be used again are none. */
export function recordFiles(stateDirectory: string): readonly string[] {
  return readdirSync(join(stateDirectory, "attachments")).filter((name) => !name.startsWith("spare."));
}
