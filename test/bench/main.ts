/**
 * `npm run bench`: measures what the project promises, each figure against a peer in the same run, and prints a table.
 * Exit code 0 if every "must" holds. Everything is done in namespaces of its own, which are removed at the end.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { nativeKernel } from "../../daemon/kernel/native.ts";
import { packageRoot } from "../../daemon/package-files.ts";
import { verdict, type RowReport } from "./figure.ts";
import { between, disturbance, machineFacts } from "./machine.ts";
import { buildPrograms, type Programs } from "./programs.ts";
import type { Row } from "./row.ts";
import { change } from "./rows/change.ts";
import { cniRows } from "./rows/cni.ts";
import { rest, scrape, start } from "./rows/daemon.ts";
import { flood, push, unicast } from "./rows/packets.ts";
import { service } from "./rows/service.ts";
import { tcp } from "./rows/tcp.ts";
import { removeLeavings, Scope } from "./scope.ts";
import { formatTable } from "./table.ts";

const ROWS: readonly Row[] = [unicast, push, flood, tcp, ...cniRows, start, rest, scrape, change, service];

type Outcome = {
  readonly name: string;
  readonly seconds: number;
  readonly machine: ReturnType<typeof between>;
} & ({ readonly report: RowReport } | { readonly error: string });

async function measure(row: Row, programs: Programs, quick: boolean, signal: AbortSignal): Promise<Outcome> {
  const begun = performance.now();
  const before = disturbance();
  const end = () => ({
    name: row.name,
    seconds: (performance.now() - begun) / 1000,
    machine: between(before, disturbance()),
  });
  try {
    const scope = await Scope.open(row.name, signal);
    try {
      return { report: await row.run({ scope, programs, quick, log: say }), ...end() };
    } finally {
      await scope.dispose();
    }
  } catch (error) {
    return { error: error instanceof Error ? (error.stack ?? error.message) : String(error), ...end() };
  }
}

function say(line: string): void {
  process.stderr.write(`${line}\n`);
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      only: { type: "string", multiple: true },
      quick: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  const names = ROWS.map(({ name }) => name).join(", ");
  if (values.help) {
    say(`usage: npm run bench -- [--quick] [--only NAME]...\nrows: ${names}`);
    return 0;
  }
  const stranger = values.only?.find((name) => ROWS.every((row) => row.name !== name));
  if (stranger !== undefined) {
    say(`there is no row ${stranger}; there are: ${names}`);
    return 64; // EX_USAGE
  }
  const abort = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => abort.abort());

  await removeLeavings(nativeKernel());
  const programs = buildPrograms();
  const chosen = ROWS.filter(({ name }) => values.only === undefined || values.only.includes(name));
  const outcomes: Outcome[] = [];
  for (const row of chosen) {
    if (abort.signal.aborted) break;
    say(`measuring ${row.name} …`);
    outcomes.push(await measure(row, programs, values.quick, abort.signal));
  }
  if (abort.signal.aborted) {
    say("interrupted; everything is removed");
    return 130;
  }
  const failed = outcomes.flatMap((outcome) => ("error" in outcome ? [outcome] : []));
  const figures = outcomes.flatMap((outcome) => ("report" in outcome ? outcome.report.figures : []));
  const facts = { at: new Date().toISOString(), quick: values.quick, machine: machineFacts() };
  const judged = figures.map((figure) => ({ ...figure, verdict: verdict(figure) }));
  const directory = join(packageRoot(), "bench-results");
  mkdirSync(directory, { recursive: true });
  writeFileSync(
    join(directory, "latest.json"),
    `${JSON.stringify({ ...facts, figures: judged, rows: outcomes }, null, 1)}\n`,
  );

  const notes = outcomes.flatMap((o) => ("report" in o ? o.report.notes.map((note) => `${o.name}: ${note}`) : []));
  const loads = outcomes.map(({ machine }) => machine.load1.after);
  process.stdout.write(
    [
      ...formatTable(figures),
      "",
      ...notes,
      `machine: ${Object.values(facts.machine).join(", ")}; load ${Math.min(...loads).toFixed(1)}-${Math.max(...loads).toFixed(1)}`,
      ...failed.map(({ name, error }) => `\n${name} FAILED: ${error}`),
      "",
    ].join("\n"),
  );
  return failed.length === 0 && judged.every((figure) => figure.verdict !== "MISSED") ? 0 : 1;
}

process.exitCode = await main();
