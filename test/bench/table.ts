/** The figures as a table for people. Pure. */
import { type Figure, verdict } from "./figure.ts";

const HEAD = ["what", "ours", "peer", "ratio (min-max)", "must", "aim", ""];

export function formatTable(figures: readonly Figure[]): readonly string[] {
  const rows = [HEAD, ...figures.map(cells)];
  const widths = HEAD.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  const line = (row: readonly string[]): string =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join("  ")
      .trimEnd();
  return [line(HEAD), widths.map((width) => "-".repeat(width)).join("  "), ...rows.slice(1).map(line)];
}

function cells(figure: Figure): readonly string[] {
  const { what, ours, peer, unit, peerName, ratio, bound } = figure;
  const sign = bound.sense === "at-least" ? ">=" : "<=";
  const limit = (value: number): string => `${sign} ${value}${bound.unit === "x" ? "x" : ` ${bound.unit}`}`;
  return [
    what,
    `${short(ours)} ${unit}`,
    `${short(peer)} ${unit} (${peerName})`,
    `${short(ratio.median)}x (${short(ratio.min)}-${short(ratio.max)})`,
    limit(bound.must),
    limit(bound.aim),
    verdict(figure),
  ];
}

/** Three significant digits, without an exponent. */
export function short(value: number): string {
  if (!Number.isFinite(value)) return "-";
  const digits = Math.max(0, 2 - Math.floor(Math.log10(Math.abs(value) || 1)));
  return value.toFixed(Math.min(digits, 3));
}
