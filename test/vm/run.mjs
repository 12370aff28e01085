// @ts-check
// The VM suite: one boot a kernel, in which all its tests run; results come back as TAP.
import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { ROOT } from "../../scripts/setup/root.mjs";
import { readTap } from "../../scripts/testing/tap.mjs";
import { compileFixtures } from "../netns/fixtures/compile.mjs";
import { bundle } from "./bundle.mjs";
import { initramfs } from "./initramfs.mjs";
import { inHostRoot } from "./job.mjs";
import { obtainKernel, SERIES } from "./kernels.mjs";
import { boot, consoleTail, MachineError } from "./machine.mjs";
import { sideBySide } from "./side-by-side.mjs";

/** @typedef {import("../../scripts/testing/tap.mjs").Result} Result */

/** Test files of other suites whose subject differs from kernel to kernel. */
export const SHARED_FILES = [
  "test/bpf/switch-fdb.test.ts",
  "test/bpf/switch-table.test.ts",
  "test/bpf/switch-tcp.test.ts",
  "test/bpf/switch-wire.test.ts",
  "test/netns/datapath.test.ts",
  "test/netns/hook.test.ts",
  "test/netns/kernel-accept.test.ts",
  "test/netns/kernel-delete.test.ts",
  "test/netns/kernel-masquerade.test.ts",
];

const WORK = path.join(ROOT, "build/vm");
const BUNDLES = path.join(WORK, "tests");
const OBJECTS = path.join(WORK, "objects");
// A machine that is busy with other things may take several times as long as an idle one.
const SILENCE_MS = 600_000;
const LIMIT_MS = 3_600_000;

/**
 * @param {readonly string[]} files relative to the root
 * @returns {AsyncGenerator<Result>}
 */
export async function* runInVms(files) {
  // Comma-separated, to try one of them: PORTWRIGHT_VM_KERNELS=6.1
  const chosen = process.env.PORTWRIGHT_VM_KERNELS?.split(",");
  await bundle(files, BUNDLES);
  mkdirSync(OBJECTS, { recursive: true });
  await compileFixtures(OBJECTS);
  // All at a time: each runs one test after another, and leaves a core to the next one. Ctrl-C reaches every QEMU.
  const machines = SERIES.filter(({ name }) => chosen === undefined || chosen.includes(name)).map(runInVm);
  yield* sideBySide(machines);
}

/**
 * @param {import("./kernels.mjs").Series} series
 * @returns {AsyncGenerator<Result>}
 */
async function* runInVm(series) {
  const title = `Linux ${series.name}`;
  if (process.arch !== "x64") {
    yield { title, outcome: "skipped", reason: `this machine is ${process.arch}, the kernels are amd64`, detail: [] };
    return;
  }
  const kernel = await obtainKernel(series);
  if (kernel === undefined) {
    yield { title, outcome: "skipped", reason: `apt knows no package ${series.packages.source}`, detail: [] };
    return;
  }
  mkdirSync(WORK, { recursive: true });
  const file = (/** @type {string} */ name) => path.join(WORK, `${name}-${series.name}`);
  writeFileSync(file("initramfs"), await initramfs(kernel, job()));
  const machine = {
    image: kernel.image,
    initramfs: file("initramfs"),
    console: file("console"),
    silenceMs: SILENCE_MS,
    limitMs: LIMIT_MS,
  };
  const started = performance.now();
  const marks = new Marks();
  let failed = false;
  try {
    for await (const result of readTap(marks.watch(boot(machine)))) {
      failed ||= result.outcome === "failed";
      yield { ...result, title: `${kernel.release} › ${result.title}` };
    }
    const status = marks.endStatus;
    if (status === undefined) throw new MachineError("ended before its tests did", machine.console);
    // A failed test makes the runner's exit code 1; anything else that is not 0 means that the runner itself broke.
    if (status !== 0 && !(failed && status === 1))
      throw new MachineError(`the runner in it ended by exit code ${status}`, machine.console);
    const seconds = Math.round((performance.now() - started) / 1000);
    console.log(`  ${kernel.release} (${series.why}): up after ${marks.upSeconds} s, done after ${seconds} s`);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    const detail = error instanceof MachineError ? error.console : consoleTail(machine.console);
    yield { title: `${kernel.release} › the machine: ${why}`, outcome: "failed", reason: "", detail };
  }
}

/** What the machine's first process says of itself, between the lines of TAP. */
class Marks {
  upSeconds = "?";
  /** @type {number | undefined} */
  endStatus;

  /** @param {AsyncIterable<string>} lines */
  async *watch(lines) {
    for await (const line of lines) {
      const up = /^# up (\S+)/.exec(line);
      const end = /^# end (\d+)/.exec(line);
      if (up) this.upSeconds = up[1] ?? "?";
      else if (end) this.endStatus = Number(end[1]);
      else yield line;
    }
  }
}

/** One test at a time, of one file: daemons that start side by side on an emulated CPU keep each other from starting. */
const PACE = ["--serial"];

/** The runner of tests. */
function job() {
  const ava = path.join(ROOT, "node_modules/ava/entrypoints/cli.mjs");
  return inHostRoot([process.execPath, ava, "--tap", ...PACE], {
    directory: BUNDLES,
    environment: { ...passedOn(), PORTWRIGHT_TEST_PATIENCE: "6", PORTWRIGHT_TEST_OBJECTS: OBJECTS },
    limitMs: LIMIT_MS,
  });
}

/** What repeats a generated test. */
function passedOn() {
  const names = ["PORTWRIGHT_SEED", "PORTWRIGHT_RUNS"];
  return Object.fromEntries(names.flatMap((name) => (process.env[name] ? [[name, process.env[name]]] : [])));
}
