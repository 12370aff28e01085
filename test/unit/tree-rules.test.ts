// The house rules that lint checks: each finds what it is there for, and leaves good files alone.
import test from "ava";
import { checkFile } from "../../scripts/lint/tree-rules.mjs";

const messages = (path: string, text: string) => checkFile(path, text).map(({ line, message }) => `${line} ${message}`);
const long = (head: string, lines: number) => `${head}\n${"x;\n".repeat(lines - 1)}`;

test("a file of 400 lines is fine, one of 401 is not, unless it says why", (t) => {
  t.deepEqual(messages("daemon/a.ts", long("// A.", 400)), []);
  t.regex(messages("daemon/a.ts", long("// A.", 401)).join(), /^1 401 lines/);
  t.deepEqual(messages("daemon/a.ts", long("// A. Long because: one table.", 401)), []);
  t.deepEqual(messages("README.md", long("# A", 900)), []);
});
test("a source begins with a comment, behind what must come first", (t) => {
  t.deepEqual(messages("scripts/a.mjs", "#!/usr/bin/env node\n// @ts-check\n// Purpose.\n"), []);
  t.deepEqual(messages("native/a.cc", "/* Purpose. */\n"), []);
  t.deepEqual(messages("test/unit/a.test.ts", "import x from 'x';\n"), []);
  t.regex(messages("test/unit/a.ts", "import x from 'x';\n").join(), /no comment/);
  t.regex(messages("scripts/a.mjs", "// @ts-check\nimport x from 'x';\n").join(), /no comment/);
  t.regex(messages("native/a.h", "#pragma once\n").join(), /no comment/);
});
test("BPF sources carry both licences", (t) => {
  t.deepEqual(messages("bpf/lib/a.h", "/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only */\n"), []);
  t.regex(messages("bpf/lib/a.h", "/* SPDX-License-Identifier: Apache-2.0 */\n").join(), /lacks SPDX/);
});
test("unfinished marks are found with their line", (t) => {
  const mark = ["TO", "DO"].join("");
  t.is(messages("daemon/a.ts", `// A.\n\n// ${mark}: later\n`).length, 1);
  t.regex(messages("daemon/a.ts", `// A.\n\n// ${mark}: later\n`)[0] ?? "", /^3 unfinished/);
  t.deepEqual(messages("daemon/a.ts", "// A.\nconst todos = 1;\n"), []);
});
test("a test cannot be skipped without a reason, nor run alone", (t) => {
  for (const how of ["skip", "only", "todo", "failing", "serial.skip"])
    t.is(messages("test/unit/a.test.ts", ["// A.", `test.${how}('x', fn);`].join("\n")).length, 1);
});
test("versions are exact and the lock file names no host", (t) => {
  t.regex(
    messages("package.json", '{"dependencies":{"a":"1.2.3","b":"^1.0.0"}}').join(),
    /^1 b has the version \^1\.0\.0/,
  );
  t.deepEqual(messages("package.json", '{"devDependencies":{"a":"1.2.3"}}'), []);
  t.regex(messages("package-lock.json", '{\n"resolved": "https://x/y.tgz"\n}').join(), /^2 a download address/);
});
