// @ts-check
// The project's own files: what git has, or would have after `git add`.
import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import path from "node:path";
import { ROOT } from "../setup/root.mjs";

/**
 * @param {RegExp} pattern
 * @returns {string[]} relative to the root
 */
export function projectFiles(pattern) {
  const list = execFileSync("git", ["ls-files", "-z", "--cached", "--others", "--exclude-standard"], {
    cwd: ROOT,
    encoding: "utf8",
  });
  return list.split("\0").filter((file) => pattern.test(file) && existsSync(path.join(ROOT, file)));
}

export const C_FILES = /^(bpf|native|test)\/.*\.(c|cc|h)$/;

/** @returns {string} the clang-format that set-up installs, else the one without a version in its name */
export function clangFormat() {
  const versions = ["-19", "-22", "-21", "-20", "-18", "-17", "-16", "-15", "-14", ""];
  const directories = (process.env.PATH ?? "").split(path.delimiter);
  const found = versions
    .map((version) => `clang-format${version}`)
    .find((name) => directories.some((directory) => existsSync(path.join(directory, name))));
  if (found === undefined) throw new Error("there is no clang-format: run node scripts/setup.mjs --tests");
  return found;
}
