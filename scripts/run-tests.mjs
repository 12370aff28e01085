// @ts-check
// Runs the suites, tells each result as it comes, and ends with a line "N passed, N failed, N skipped".
// Usage: run-tests.mjs [--suite NAME]... [FILE]...   The exit code is 0 only if something ran and nothing failed.
import path from "node:path";
import { parseArgs } from "node:util";
import { ROOT } from "./setup/root.mjs";
import { SUITES, testFiles } from "./testing/suites.mjs";

const { values, positionals } = parseArgs({
  options: { suite: { type: "string", multiple: true, default: [] } },
  allowPositionals: true,
});
const wantedSuites = new Set(values.suite);
const wantedFiles = new Set(positionals.map((file) => path.relative(ROOT, path.resolve(file))));

const count = { passed: 0, failed: 0, skipped: 0 };
const failures = [];
let interrupted = false;
// The terminal's Ctrl-C reaches the runner of the suite too: it is given the time to let tests clean up.
for (const signal of ["SIGINT", "SIGTERM"]) {
  process.on(signal, () => {
    interrupted = true;
  });
}

for (const { suite, files } of chosen()) {
  if (interrupted) break;
  console.log(`\n${suite.name}: ${suite.what}`);
  const before = count.passed + count.failed + count.skipped;
  try {
    if (suite.directories && files.length === 0) throw new Error(`no test file in ${suite.directories.join(", ")}`);
    for await (const result of suite.run(files)) {
      count[result.outcome]++;
      show(result);
      if (result.outcome === "failed") failures.push(`${suite.name}: ${result.title}`);
    }
    if (count.passed + count.failed + count.skipped === before) throw new Error("no test ran");
  } catch (error) {
    if (interrupted) break;
    count.failed++;
    const why = error instanceof Error ? error.message : String(error);
    failures.push(`${suite.name}: ${why}`);
    console.log(`  ✖ ${why}`);
  }
}

const ran = count.passed + count.failed > 0;
if (failures.length > 0) console.log(`\nFailed:\n${failures.map((title) => `  ✖ ${title}`).join("\n")}`);
if (!ran) console.log("\nNo test ran.");
if (interrupted) console.log("\nInterrupted.");
console.log(`\n${count.passed} passed, ${count.failed} failed, ${count.skipped} skipped`);
process.exitCode = interrupted ? 130 : ran && count.failed === 0 ? 0 : 1;

function chosen() {
  const unknown = [...wantedSuites].filter((name) => !SUITES.some((suite) => suite.name === name));
  if (unknown.length > 0) {
    console.error(`There is no suite ${unknown.join(", ")}; there are ${SUITES.map(({ name }) => name).join(", ")}.`);
    process.exit(2);
  }
  const known = new Set(SUITES.flatMap(testFiles));
  const strangers = [...wantedFiles].filter((file) => !known.has(file));
  if (strangers.length > 0) {
    console.error(`Not a test file of any suite: ${strangers.join(", ")}`);
    process.exit(2);
  }
  return SUITES.filter(({ name }) => wantedSuites.size === 0 || wantedSuites.has(name)).flatMap((suite) => {
    if (wantedFiles.size === 0) return [{ suite, files: testFiles(suite) }];
    // A file that is named without its suite runs where it is at home.
    const home = wantedSuites.size === 0 ? (suite.borrowed ?? []) : [];
    const files = testFiles(suite).filter((file) => wantedFiles.has(file) && !home.includes(file));
    return files.length > 0 ? [{ suite, files }] : [];
  });
}

/** @param {import("./testing/tap.mjs").Result} result */
function show({ title, outcome, reason, detail, notes = [] }) {
  const mark = { passed: "✔", failed: "✖", skipped: "–" }[outcome];
  const note = outcome === "skipped" ? ` (skipped${reason ? `: ${reason}` : ""})` : "";
  console.log(`  ${mark} ${title}${note}`);
  for (const line of notes) console.log(`      ${line}`);
  if (outcome === "failed") for (const line of detail) console.log(`      ${line}`);
}
