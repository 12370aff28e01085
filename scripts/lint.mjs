// @ts-check
// `npm run lint`: every check of the sources, each told in one line; the output of those that fail follows. Changes nothing.
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import path from "node:path";
import { C_FILES, clangFormat, projectFiles } from "./lint/files.mjs";
import { checkFile } from "./lint/tree-rules.mjs";
import { ROOT } from "./setup/root.mjs";

/** @type {readonly (readonly [title: string, check: () => string])[]} each returns what is wrong, empty if nothing */
const CHECKS = [
  ["oxlint, with types", () => npmTool("oxlint/bin/oxlint", ["--type-aware", "--format=unix"])],
  ["types (tsc)", () => npmTool("typescript/bin/tsc", [])],
  ["format of TypeScript and JSON (biome; npm run format)", biomeFormat],
  ["format of C and C++ (clang-format; npm run format)", clangFormatCheck],
  ["house rules", houseRules],
];

for (const [title, check] of CHECKS) {
  const wrong = check();
  console.log(`  ${wrong ? "✖" : "✔"} ${title}`);
  if (!wrong) continue;
  console.log(wrong.replace(/^/gm, "      "));
  process.exitCode = 1;
}

/**
 * @param {string} file inside node_modules
 * @param {readonly string[]} args
 */
function npmTool(file, args) {
  return program(process.execPath, [path.join(ROOT, "node_modules", file), ...args]);
}

/**
 * @param {string} command
 * @param {readonly string[]} args
 */
function program(command, args) {
  const { status, error, stdout, stderr } = spawnSync(command, args, {
    cwd: ROOT,
    encoding: "utf8",
    maxBuffer: 1 << 26,
  });
  if (status === 0) return "";
  return [error?.message, stdout, stderr].filter(Boolean).join("\n").trim() || `${command} ended with ${status}`;
}

/** What would change is seen best in git's diff after `npm run format`: here the names are enough. */
function biomeFormat() {
  return namesIn(npmTool("@biomejs/biome/bin/biome", ["format", "--max-diagnostics=none"]), /^(\S+) format /gm);
}

function clangFormatCheck() {
  return namesIn(
    program(clangFormat(), ["--dry-run", "-Werror", ...projectFiles(C_FILES)]),
    /^([^\s:]+):\d+:\d+: error: /gm,
  );
}

/**
 * @param {string} text
 * @param {RegExp} pattern
 */
function namesIn(text, pattern) {
  const names = [...new Set([...text.matchAll(pattern)].map((match) => match[1]))];
  return names.length > 0 ? names.join("\n") : text; // an output of another kind is an error of the tool itself
}

function houseRules() {
  return projectFiles(/./)
    .flatMap((file) => checkFile(file, readFileSync(path.join(ROOT, file), "utf8")))
    .map(({ path: file, line, message }) => `${file}:${line}: ${message}`)
    .join("\n");
}
