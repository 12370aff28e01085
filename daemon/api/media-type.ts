/** Which form an answer takes: by Accept (RFC 9110, 12.5.1), and without one by the form of the request. Pure. */

/** The best of `offered` (in our order of preference), or null if the client takes none of them. */
export function chooseMediaType<T extends string>(accept: string | undefined, offered: readonly T[]): T | null {
  if (accept === undefined || accept.trim() === "") return offered[0] ?? null;
  const ranges = accept.split(",").map(parseRange);
  let best: { type: T; q: number } | null = null;
  for (const type of offered) {
    const q = quality(type, ranges);
    if (q > 0 && (best === null || q > best.q)) best = { type, q };
  }
  return best?.type ?? null;
}

/** "application/json; charset=utf-8" -> "application/json" */
export function essence(contentType: string | undefined): string {
  return (contentType ?? "").split(";", 1)[0]?.trim().toLowerCase() ?? "";
}

interface Range {
  readonly range: string;
  readonly q: number;
}

function parseRange(text: string): Range {
  const [range = "", ...parameters] = text.split(";").map((part) => part.trim().toLowerCase());
  const q = parameters.find((p) => p.startsWith("q="));
  const value = q === undefined ? 1 : Number(q.slice(2));
  return { range, q: Number.isFinite(value) ? value : 0 };
}

/** The most specific range that fits decides. */
function quality(type: string, ranges: readonly Range[]): number {
  const major = `${type.split("/", 1)[0]}/*`;
  for (const wanted of [type, major, "*/*"]) {
    const found = ranges.find((r) => r.range === wanted);
    if (found !== undefined) return found.q;
  }
  return 0;
}
