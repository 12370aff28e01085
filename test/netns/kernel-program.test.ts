/** Programs that are run to their end. */
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { type ExecutionContext } from "ava";
import { KernelError } from "../../daemon/kernel/kernel-error.ts";
import { nativeKernel } from "../../daemon/kernel/native.ts";
import { needs } from "../support/needs.ts";

function program(t: ExecutionContext, text: string): string {
  const directory = mkdtempSync(join(tmpdir(), `pwk${process.pid}-program-`));
  t.teardown(() => rmSync(directory, { recursive: true, force: true }));
  const file = join(directory, "program");
  writeFileSync(file, `#!/bin/sh\n${text}\n`);
  chmodSync(file, 0o755);
  return file;
}

const call = { env: { PATH: "/usr/bin:/bin" }, stdin: "", timeout: 10_000, maxOutput: 1 << 21 };

/** CPUs that the process may be on, from the text of its status in /proc */
function cpusOf(status: string): number {
  const mask = /^Cpus_allowed:\s*([0-9a-f,]+)$/m.exec(status)?.[1]?.replaceAll(",", "") ?? "";
  return BigInt(`0x${mask}`).toString(2).replaceAll("0", "").length;
}

const own = cpusOf(readFileSync("/proc/self/status", "utf8"));

needs(own > 1, "two CPUs")("it is kept off the CPU of the thread that starts it", async (t) => {
  const { stdout } = await nativeKernel().runProgram({
    ...call,
    file: program(t, "sleep 0.1; exec cat /proc/self/status"),
  });
  t.is(cpusOf(stdout), own - 1);
  t.is(cpusOf(readFileSync("/proc/self/status", "utf8")), own);
});

test("it reads more than a pipe holds, and writes as much", async (t) => {
  const stdin = "0123456789abcdef".repeat(1 << 16);
  const end = await nativeKernel().runProgram({ ...call, stdin, file: program(t, "exec cat") });
  t.like(end, { exitCode: 0, signal: 0, cut: "", stderr: "" });
  t.true(end.stdout === stdin);
});

test("it need not read", async (t) => {
  const stdin = "x".repeat(1 << 20);
  const end = await nativeKernel().runProgram({ ...call, stdin, file: program(t, "exit 3") });
  t.like(end, { exitCode: 3, cut: "", stdout: "" });
});

test("what is none is refused", async (t) => {
  const error = await t.throwsAsync(nativeKernel().runProgram({ ...call, file: "/nonexistent" }), {
    instanceOf: KernelError,
  });
  t.like(error, { code: "ENOENT", object: "/nonexistent" });
});
