// @ts-check
// The suites that `npm test` runs, in order. A suite is a name and something that yields results; another one is another row.
import { spawn } from "node:child_process";
import { once } from "node:events";
import os from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";
import { ROOT } from "../setup/root.mjs";
import { inputFiles } from "../setup/stamp.mjs";
import { runInVms, SHARED_FILES } from "../../test/vm/run.mjs";
import { readTap } from "./tap.mjs";

/** @typedef {import("./tap.mjs").Result} Result */
/**
 * @typedef {object} Suite
 * @property {string} name
 * @property {string} what
 * @property {readonly string[]} [directories] of test files; without them the suite is one whole
 * @property {readonly string[]} [borrowed] test files of other suites that this one runs too, in its own way
 * @property {(files: readonly string[]) => AsyncIterable<Result>} run throws if the suite itself breaks
 */

/** @type {readonly Suite[]} */
export const SUITES = [
  { name: "types", what: "TypeScript's checker", run: () => check("the types fit", tool("typescript/bin/tsc")) },
  { name: "unit", what: "pure code", directories: ["test/unit"], run: ava({ concurrency: os.availableParallelism() }) },
  {
    name: "kernel",
    what: "BPF programs, network namespaces and the real kernel",
    directories: ["test/bpf", "test/netns"],
    run: ava({ concurrency: 2 }),
  },
  {
    name: "systemd",
    what: "the installed service under a real systemd, in a container",
    directories: ["test/systemd"],
    run: ava({ concurrency: 2 }),
  },
  {
    name: "vm",
    what: "the same and more on Debian's kernels, each booted once in a virtual machine",
    directories: ["test/vm/suite"],
    borrowed: SHARED_FILES,
    run: runInVms,
  },
];

/** @param {Suite} suite */
export function testFiles({ directories = [], borrowed = [] }) {
  return [...inputFiles(ROOT, directories, (file) => file.endsWith(".test.ts")), ...borrowed];
}

/** @param {string} file inside node_modules */
const tool = (file) => path.join(ROOT, "node_modules", file);

/**
 * A mount namespace with a /run and a temporary directory of its own. What a test could not remove, because it was
 * interrupted or crashed (bound network namespaces, bpffs and what is pinned there, files), goes with the last process.
 * /run/netns is made a shared mount as the first `ip netns add` would: done in the middle, it would cover what is bound
 * there already, which nobody could unbind then.
 */
const IN_PRIVATE = [
  ...["unshare", "--mount", "--propagation", "private", "sh", "-c"],
  "mount -t tmpfs -o mode=755 tmpfs /run && mkdir -m 1777 /run/tmp && mkdir /run/netns && " +
    "mount --bind /run/netns /run/netns && mount --make-shared /run/netns && " +
    'TMPDIR=/run/tmp exec "$@"',
  "sh",
];

/** @param {{ concurrency: number }} options files at a time; each is a process of its own */
function ava({ concurrency }) {
  return (/** @type {readonly string[]} */ files) =>
    tapOf([tool("ava/entrypoints/cli.mjs"), "--tap", `--concurrency=${concurrency}`, ...files]);
}

/**
 * @param {readonly string[]} args a Node program that writes TAP to stdout
 * @returns {AsyncGenerator<Result>}
 */
export async function* tapOf(args) {
  const [command = "", ...rest] = [...(process.getuid?.() === 0 ? IN_PRIVATE : []), process.execPath, ...args];
  const child = spawn(command, rest, { cwd: ROOT, stdio: ["ignore", "pipe", "inherit"] });
  const closed = once(child, "close");
  // ava takes SIGINT as "end the tests and let them clean up", and SIGTERM not at all. The terminal's Ctrl-C it gets itself.
  const interrupt = () => void child.kill("SIGINT");
  process.on("SIGTERM", interrupt);
  let failed = false;
  try {
    for await (const result of readTap(createInterface({ input: child.stdout }))) {
      failed ||= result.outcome === "failed";
      yield result;
    }
  } finally {
    process.off("SIGTERM", interrupt);
  }
  const [code, signal] = await closed;
  // A failed test makes the runner's exit code 1; anything else that is not 0 means that the runner itself broke.
  if (signal !== null || (code !== 0 && !(failed && code === 1)))
    throw new Error(`the test runner ended by ${signal ?? `exit code ${code}`}`);
}

/**
 * A program that passes or fails as one test.
 * @param {string} title
 * @param {string} program
 * @returns {AsyncGenerator<Result>}
 */
async function* check(title, program) {
  const child = spawn(process.execPath, [program], { cwd: ROOT, stdio: ["ignore", "pipe", "inherit"] });
  const closed = once(child, "close");
  const detail = [];
  for await (const line of createInterface({ input: child.stdout })) detail.push(line);
  const [code] = await closed;
  yield { title, outcome: code === 0 ? "passed" : "failed", reason: "", detail };
}
