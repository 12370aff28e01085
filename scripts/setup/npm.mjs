// @ts-check
// Finds the npm in use, by its files: its node-gyp builds the addon, so that no other node-gyp need be installed.
import { existsSync, realpathSync } from "node:fs";
import path from "node:path";
import { SetupError } from "./report.mjs";

/**
 * @param {{ npm_execpath?: string | undefined, PATH?: string | undefined }} env npm_execpath is set in scripts that npm runs
 * @param {string} nodePath process.execPath
 * @returns {string[]} where npm-cli.js may be, best first
 */
export function npmCandidates(env, nodePath) {
  const onPath = (env.PATH ?? "").split(path.delimiter).filter(Boolean);
  return [
    ...(env.npm_execpath?.endsWith("npm-cli.js") ? [env.npm_execpath] : []), // other package managers set it too
    ...onPath.map((directory) => path.join(directory, "npm")),
    path.resolve(nodePath, "../../lib/node_modules/npm/bin/npm-cli.js"),
  ];
}

/** @returns {string} path of npm-cli.js */
export function findNpm() {
  for (const candidate of npmCandidates(process.env, process.execPath)) {
    if (!existsSync(candidate)) continue;
    const file = realpathSync(candidate);
    if (path.basename(file) === "npm-cli.js") return file;
  }
  throw new SetupError("there is no npm on the PATH or beside this Node: install Node with its npm.");
}

/** @returns {string} path of the node-gyp that npm brings along */
export function findNodeGyp() {
  const npm = findNpm();
  const file = path.resolve(path.dirname(npm), "../node_modules/node-gyp/bin/node-gyp.js");
  if (existsSync(file)) return file;
  throw new SetupError(`the npm at ${npm} has no node-gyp of its own: install Node with the npm that belongs to it.`);
}
