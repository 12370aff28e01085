/** Lines of the log in each of the three forms. */
import { fstatSync, openSync, closeSync } from "node:fs";
import test from "ava";
import { createLog, detectFormat, type LogFormat } from "../../daemon/log.ts";

function logTo(format: LogFormat, level = "debug") {
  const lines: string[] = [];
  return { log: createLog({ format, level, write: (line) => void lines.push(line) }), lines };
}

test("plain lines are JSON with level, time and the error's cause", (t) => {
  const { log, lines } = logTo("json");
  log.error({ error: new Error("outer", { cause: new Error("inner") }), device: "nic0" }, "failed");
  const line = JSON.parse(lines[0] ?? "");
  t.like(line, { level: "error", msg: "failed", device: "nic0" });
  t.regex(line.time, /^\d{4}-\d\d-\d\dT/);
  t.regex(line.error.stack, /outer/);
  t.is(line.error.cause.message, "inner");
  t.true(lines[0]?.endsWith("}\n"));
});

test("under journald each line begins with its priority", (t) => {
  const { log, lines } = logTo("journal");
  log.fatal("f");
  log.error("e");
  log.warn("w");
  log.info("i");
  log.debug("d");
  t.deepEqual(
    lines.map((l) => l.slice(0, 4)),
    ["<2>{", "<3>{", "<4>{", "<6>{", "<7>{"],
  );
  t.is(JSON.parse(lines[3]?.slice(3) ?? "").msg, "i");
});

test("a line stays one line, whatever is in it", (t) => {
  for (const format of ["json", "journal", "terminal"] as const) {
    const { log, lines } = logTo(format);
    log.info({ name: "a\n<0>b\u001b[2J\u2028" }, "first\nsecond\u001b[31m");
    t.is(lines.length, 1);
    t.is(lines[0]?.indexOf("\n"), (lines[0]?.length ?? 0) - 1, format);
    t.false(lines[0]?.includes("\u001b"), format);
  }
});

test("on a terminal a line is short and readable", (t) => {
  const { log, lines } = logTo("terminal");
  log.warn({ device: "nic0", count: 2, text: "two words" }, "no carrier");
  t.regex(lines[0] ?? "", /^\d\d:\d\d:\d\d\.\d{3} WARN {2}no carrier device=nic0 count=2 text="two words"\n$/);
});

test("levels below the one wanted are not written", (t) => {
  const { log, lines } = logTo("json", "warn");
  log.info("no");
  log.warn("yes");
  t.is(lines.length, 1);
});

test("the journal's form is chosen only if the descriptor is the journal's", (t) => {
  const fd = openSync("/dev/null", "w");
  t.teardown(() => closeSync(fd));
  const { dev, ino } = fstatSync(fd);
  t.is(detectFormat({ JOURNAL_STREAM: `${dev}:${ino}` }, fd, false), "journal");
  t.is(detectFormat({ JOURNAL_STREAM: `${dev}:${ino + 1}` }, fd, false), "json");
  t.is(detectFormat({ JOURNAL_STREAM: `${dev}:${ino}` }, 9999, false), "json");
  t.is(detectFormat({}, fd, false), "json");
  t.is(detectFormat({ JOURNAL_STREAM: `${dev}:${ino}` }, fd, true), "terminal");
});
