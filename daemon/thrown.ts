/** What was thrown: any value, although almost always an Error. Pure. */

/** Its text for a message of ours. */
export function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}

/** The code that Node gives its own errors and those of system calls, such as "ENOENT". */
export function codeOf(thrown: unknown): string | undefined {
  return thrown instanceof Error && "code" in thrown && typeof thrown.code === "string" ? thrown.code : undefined;
}
