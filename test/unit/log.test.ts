/** Lines of the log in each of the three forms. */
import { fstatSync, openSync, closeSync } from "node:fs";
import test from "ava";
import { PortwrightError } from "../../daemon/errors.ts";
import { IntentErrors } from "../../daemon/intent/intent-errors.ts";
import { KernelError } from "../../daemon/kernel/kernel-error.ts";
import { createLog, detectFormat, lastWords, type LogFormat } from "../../daemon/log.ts";

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

test("an error that was foreseen shows its code and no stack, also as a cause and among others", (t) => {
  const { log, lines } = logTo("json");
  const place = { file: "vm.yaml", line: 7, column: 9 };
  const foreseen = new PortwrightError("INTENT_INVALID", "spec.vlan must be a VLAN", { place });
  const kernel = { code: "EEXIST", errno: 17, op: "RTM_NEWLINK", object: "vm-br", kernelText: "", message: "no" };
  log.error({ err: new IntentErrors([foreseen, foreseen]) }, "refused");
  log.error({ error: new Error("outer", { cause: new KernelError(kernel) }) }, "failed");
  const [refused, failed] = lines.map((line) => JSON.parse(line));
  t.like(refused.err, { type: "PortwrightError", code: "INTENT_INVALID", place });
  t.like(refused.err.errors[1], { code: "INTENT_INVALID", message: "spec.vlan must be a VLAN", place });
  t.notRegex(lines[0] ?? "", /stack|\.ts:/);
  t.regex(failed.error.stack, /outer/);
  t.like(failed.error.cause, { type: "KernelError", code: "EEXIST", op: "RTM_NEWLINK", object: "vm-br" });
  t.false("stack" in failed.error.cause);
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

test("the last words of a program are errors to journald, line by line", (t) => {
  t.is(lastWords("a: no\nb: no", "journal"), "<3>a: no\n<3>b: no\n");
  t.is(lastWords("a: no\nb: no", "json"), "a: no\nb: no\n");
});
