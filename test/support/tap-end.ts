/** A program that has a tap open as a VM has, and what it receives. Ends with the test. */
import { type ChildProcessByStdio, execFileSync, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Readable, Writable } from "node:stream";
import type { ExecutionContext } from "ava";
import { packageRoot } from "../../daemon/package-files.ts";
import { until } from "./until.ts";

export interface TapEnd {
  /** those with the text in them, by all queues */
  count(text: string): number;
  readonly frames: readonly { readonly queue: number; readonly data: Buffer }[];
  send(frame: Uint8Array, queue?: number): void;
  /** as a VM that is switched off */
  close(): Promise<void>;
}

let program: string | undefined;

/** Compiled once a process; removed when it ends. */
function build(): string {
  if (program !== undefined) return program;
  const directory = mkdtempSync(join(tmpdir(), `pw-tap-end-${process.pid}-`));
  process.once("exit", () => rmSync(directory, { recursive: true, force: true }));
  program = join(directory, "tap-end");
  const source = join(packageRoot(), "test/peers/tap-end.c");
  execFileSync("cc", ["-O1", "-Wall", "-Werror", "-o", program, source]);
  return program;
}

export interface TapEndOptions {
  readonly queues?: number;
  /** user that opens it; default root */
  readonly uid?: number;
}

/** Rejects with what it says if it cannot open the tap. */
export async function openTap(
  t: ExecutionContext,
  netns: string,
  name: string,
  { queues = 1, uid }: TapEndOptions = {},
): Promise<TapEnd> {
  const args = [netns, name, String(queues), ...(uid === undefined ? [] : [String(uid)])];
  const child: ChildProcessByStdio<Writable, Readable, Readable> = spawn(build(), args, { stdio: "pipe" });
  const ended = new Promise<void>((resolve) => child.once("close", () => resolve()));
  t.teardown(async () => {
    child.kill();
    await ended;
  });
  let complaint = "";
  child.stderr.on("data", (chunk: Buffer) => {
    complaint += chunk.toString();
  });
  let isReady = false;
  const frames: { queue: number; data: Buffer }[] = [];
  createInterface({ input: child.stdout }).on("line", (line) => {
    if (line === "ready") isReady = true;
    else {
      const [queue = "", data = ""] = line.split(" ");
      frames.push({ queue: Number(queue), data: Buffer.from(data, "hex") });
    }
  });
  await until(() => isReady || child.exitCode !== null);
  if (!isReady) {
    await ended;
    throw new Error(complaint.trim());
  }
  return {
    frames,
    count: (text) => frames.filter(({ data }) => data.includes(text)).length,
    send: (frame, queue = 0) => void child.stdin.write(`${queue} ${Buffer.from(frame).toString("hex")}\n`),
    close: async () => {
      child.kill();
      await ended;
    },
  };
}
