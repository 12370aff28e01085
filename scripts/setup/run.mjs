// @ts-check
// Child processes of set-up: output kept back and shown only on failure; none outlives an interrupted set-up.
import { spawn } from "node:child_process";
import { SetupError } from "./report.mjs";

const LINES_SHOWN = 50;

/** @type {Set<import("node:child_process").ChildProcess>} */
const children = new Set();
const state = { interrupted: false };

/**
 * @typedef {object} RunOptions
 * @property {Record<string, string>} [env] added to the environment
 * @property {string} [cwd]
 * @property {readonly number[]} [okCodes] exit codes that are no failure
 * @property {string} [onFail] first words of the error
 */

/**
 * Runs a command and returns what it wrote to stdout. Rejects with ENOENT's error if there is no such command.
 * @param {string} command
 * @param {readonly string[]} args
 * @param {RunOptions} [options]
 * @returns {Promise<string>}
 */
export function output(command, args, { env = {}, cwd = ".", okCodes = [0], onFail = `${command} failed` } = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd, env: { ...process.env, ...env }, stdio: ["ignore", "pipe", "pipe"] });
    children.add(child);
    let stdout = "";
    let both = "";
    child.stdout.setEncoding("utf8").on("data", (text) => {
      stdout += text;
      both += text;
    });
    child.stderr.setEncoding("utf8").on("data", (text) => {
      both += text;
    });
    child.on("error", (error) => {
      children.delete(child);
      reject(error);
    });
    child.on("close", (code, signal) => {
      children.delete(child);
      // dpkg does not let itself be interrupted and ends well: the step after it must not begin all the same.
      if (state.interrupted) return reject(new SetupError(`${command} was interrupted.`));
      if (code !== null && okCodes.includes(code)) return resolve(stdout);
      reject(new SetupError(`${onFail} (${signal ?? `exit code ${code}`}).`, shorten(both.trim())));
    });
  });
}

/**
 * A compiler's first error is the one that matters, a package manager's last line: both ends are kept.
 * @param {string} text
 */
export function shorten(text) {
  const lines = text.split("\n");
  if (lines.length <= LINES_SHOWN) return text;
  const half = LINES_SHOWN / 2;
  const left = `[${lines.length - LINES_SHOWN} lines left out]`;
  return [...lines.slice(0, half), left, ...lines.slice(-half)].join("\n");
}

/**
 * @param {string} command
 * @param {readonly string[]} args
 * @param {RunOptions} [options]
 * @returns {Promise<void>}
 */
export async function run(command, args, options) {
  await output(command, args, options);
}

/**
 * On the first signal the running command is ended and `interrupted` becomes true, so that the failure which follows is
 * told as what it is. A terminal's Ctrl-C reaches the command as well; a second signal does no harm.
 */
export function endChildrenOnSignal() {
  for (const signal of /** @type {const} */ (["SIGINT", "SIGTERM", "SIGHUP"])) {
    process.on(signal, () => {
      if (children.size === 0) process.exit(130);
      if (!state.interrupted) console.error("\nset-up: interrupted; waiting for what runs to end ...");
      state.interrupted = true;
      for (const child of children) child.kill(signal === "SIGINT" ? "SIGINT" : "SIGTERM");
    });
  }
  return state;
}
