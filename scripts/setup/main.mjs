// @ts-check
// The course of set-up: checks of the machine, Debian packages, npm packages, builds. Idempotent; where all is in place it
// takes one look and prints one line.
import path from "node:path";
import { hostFacts, hostProblems } from "./host-checks.mjs";
import { takeLock } from "./lock.mjs";
import { ensurePackages, inspectPackages } from "./packages.mjs";
import { explain, Report, SetupError } from "./report.mjs";
import { ROOT } from "./root.mjs";
import { endChildrenOnSignal } from "./run.mjs";
import { isDone, perform, STEPS } from "./steps.mjs";

/** @param {readonly string[]} args "--tests": also install what only tests, lint and bench use */
export async function main(args) {
  const signals = endChildrenOnSignal();
  const report = new Report();
  try {
    const unknown = args.filter((arg) => arg !== "--tests");
    if (unknown.length > 0) throw new SetupError(`unknown argument ${unknown.join(" ")}; there is only --tests.`);
    const problems = hostProblems(hostFacts());
    if (problems.length > 0) throw new SetupError(problems.join("\nset-up: "));
    process.chdir(ROOT);
    await setUp(args.includes("--tests"), report);
    report.done();
  } catch (error) {
    process.exitCode = signals.interrupted ? 130 : 1;
    if (signals.interrupted) console.error("set-up: ended; the next run goes on from here.");
    else if (error instanceof SetupError) console.error(explain(error));
    else throw error;
  }
}

/**
 * @param {boolean} tests
 * @param {Report} report
 */
async function setUp(tests, report) {
  if (await everythingDone(tests)) return;
  const free = await takeLock(path.join(ROOT, "build/setup.lock"), () =>
    report.say("another set-up is at work in this checkout: waiting for it to end"),
  );
  try {
    const versions = await ensurePackages(tests, report);
    for (const step of STEPS) {
      if (!isDone(step, versions)) await report.step(step.what, () => perform(step, versions));
    }
  } finally {
    await free();
  }
}

/**
 * Without the lock, since it changes nothing: the usual case must not wait for anybody.
 * @param {boolean} tests
 */
async function everythingDone(tests) {
  const { versions, missing } = await inspectPackages(tests);
  return missing.length === 0 && STEPS.every((step) => isDone(step, versions));
}
