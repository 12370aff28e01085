/**
 * As Promise.all, but it waits for every one, also when one fails: undoing must not overtake what is still being done.
 * Throws the error of the first in the list that has one.
 */
export async function allEnded<T extends readonly unknown[]>(
  work: { readonly [K in keyof T]: Promise<T[K]> },
): Promise<{
  -readonly [K in keyof T]: T[K];
}> {
  for (const result of await Promise.allSettled(work)) if (result.status === "rejected") throw result.reason;
  return await Promise.all(work);
}
