/** A length of time on the command line: "60s", "5m", "1h", or "60", which is seconds. Pure. */
const UNITS: Readonly<Record<string, number>> = { "": 1, s: 1, m: 60, h: 3600 };

export function seconds(text: string, option: string): number {
  const match = /^(\d{1,6})([smh]?)$/.exec(text);
  const value = Number(match?.[1]) * (UNITS[match?.[2] ?? ""] ?? Number.NaN);
  if (!Number.isInteger(value) || value < 1 || value > 86_400) {
    throw new Error(`${option} ${text}: give a time such as 60s or 5m, a day at most`);
  }
  return value;
}
