/** What was typed is not usable; nothing was done. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}
