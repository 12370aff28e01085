// @ts-check
// House rules that no linter knows, over the text of single files. Pure: a path and its text in, findings out.

/** @typedef {{ path: string, line: number, message: string }} Finding */

const MAX_LINES = 400;
const SOURCE = /\.(ts|mjs|cc|c|h)$/;

/**
 * @typedef {object} Rule
 * @property {RegExp} files
 * @property {(text: string, lines: readonly string[]) => (readonly [line: number, message: string])[]} find
 */

/** @type {readonly Rule[]} */
const RULES = [
  {
    // A longer file says why in its first comment: "Long because: ...".
    files: SOURCE,
    find: (_text, lines) =>
      lines.length > MAX_LINES && !lines.slice(0, 20).some((line) => line.includes("Long because: "))
        ? [[1, `${lines.length} lines; over ${MAX_LINES}, split it or say "Long because: ..." in its first comment`]]
        : [],
  },
  {
    // A test file is named after what it tests.
    files: /^(?!.*\.test\.ts$).*\.(ts|mjs|cc|c|h)$/,
    find: (text) => {
      const start = text.replace(/^#!.*\n/, "").replace(/^\/\/ @ts-check\n/, "");
      return /^(\/\/|\/\*)/.test(start) ? [] : [[1, "the first lines are no comment that says what the file is for"]];
    },
  },
  {
    files: /^bpf\/.*\.[ch]$/,
    find: (_text, lines) =>
      lines[0]?.includes("SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only")
        ? []
        : [[1, "the first line lacks SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only"]],
  },
  {
    files: SOURCE,
    find: (_text, lines) => each(lines, /\b(TO[D]O|FIX[M]E|X[X]X)\b/, "unfinished: finish it, or open an issue"),
  },
  {
    files: /^test\/.*\.ts$/,
    find: (_text, lines) =>
      each(
        lines,
        /\btest(\.serial)?\.(skip|todo|failing|only)\(/,
        "use needs() of test/support/needs.ts, which gives the reason",
      ),
  },
  {
    files: /^package-lock\.json$/,
    find: (_text, lines) => each(lines, /"resolved": "http/, "a download address: install with the project's .npmrc"),
  },
  {
    files: /^package\.json$/,
    find: (text) => {
      const { dependencies, devDependencies } = JSON.parse(text);
      return Object.entries({ ...dependencies, ...devDependencies })
        .filter(([, version]) => !/^\d+\.\d+\.\d+$/.test(String(version)))
        .map(([name, version]) => [1, `${name} has the version ${version}; versions are exact here`]);
    },
  },
];

/**
 * @param {readonly string[]} lines
 * @param {RegExp} pattern
 * @param {string} message
 * @returns {(readonly [number, string])[]}
 */
function each(lines, pattern, message) {
  return lines.flatMap((line, index) => (pattern.test(line) ? [/** @type {const} */ ([index + 1, message])] : []));
}

/**
 * @param {string} path relative to the root
 * @param {string} text
 * @returns {Finding[]}
 */
export function checkFile(path, text) {
  const lines = text.replace(/\n$/, "").split("\n");
  return RULES.filter(({ files }) => files.test(path)).flatMap(({ find }) =>
    find(text, lines).map(([line, message]) => ({ path, line, message })),
  );
}
