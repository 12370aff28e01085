// @ts-check
// Reads TAP (Test Anything Protocol, version 13 and 14 as far as runners here write it) line by line.

/**
 * @typedef {object} Result
 * @property {string} title
 * @property {"passed" | "failed" | "skipped"} outcome
 * @property {string} reason why it was skipped, if the directive says so
 * @property {string[]} detail the diagnostic block, its indentation taken away
 * @property {string[]} [notes] what the test said by t.log()
 */

const TEST_LINE = /^(not )?ok\b(?: +\d+)?(?: +- *| +|$)(.*)$/;
// A directive stands behind a hash with white space before it; a hash in a title is escaped.
const DIRECTIVE = /^(.*?)(?:^|\s+)#\s*(skip|todo)\b\s*(.*)$/i;
/** how supertap writes what a test logged, behind its line */
const NOTE = "#   ";

/**
 * @param {AsyncIterable<string>} lines
 * @returns {AsyncGenerator<Result>}
 * @throws on "Bail out!" and if fewer tests came than the plan said; more may come, since a runner also reports files that crash
 */
export async function* readTap(lines) {
  /** @type {Result | undefined} */
  let last;
  let seen = 0;
  let planned = -1;
  let indent = -1; // of the diagnostic block that is open, or -1
  for await (const line of lines) {
    if (indent >= 0) {
      if (line.trim() === "...") indent = -1;
      else last?.detail.push(line.slice(indent));
      continue;
    }
    const plan = /^1\.\.(\d+)/.exec(line);
    const bail = /^Bail out!\s*(.*)$/.exec(line);
    const test = TEST_LINE.exec(line);
    if (plan) planned = Number(plan[1]);
    else if (bail) throw new Error(`the runner gave up: ${bail[1] || "no reason given"}`);
    else if (last && line.startsWith(NOTE)) last.notes?.push(line.slice(NOTE.length));
    else if (last && line.trim() === "---") indent = line.indexOf("-");
    else if (test) {
      if (last) yield last;
      last = toResult(test[1] === undefined, test[2] ?? "");
      seen++;
    }
  }
  if (last) yield last;
  if (planned < 0 && seen > 0) throw new Error("the output ended without a plan: the runner died before its end");
  if (seen < planned) throw new Error(`${planned} tests were announced, ${seen} reported`);
}

/**
 * @param {boolean} ok
 * @param {string} text behind the number
 * @returns {Result}
 */
function toResult(ok, text) {
  const directive = DIRECTIVE.exec(text);
  const title = (directive ? (directive[1] ?? "") : text).trim().replace(/\\([#\\])/g, "$1");
  // What is yet to be done fails ("not ok") and is neither held against the run nor counted for it. A skipped test cannot
  // fail: such a line has a title that looks like a directive.
  const skipped = directive && (ok || directive[2]?.toLowerCase() === "todo");
  const outcome = skipped ? "skipped" : ok ? "passed" : "failed";
  return { title, outcome, reason: directive?.[3]?.trim() ?? "", detail: [], notes: [] };
}
