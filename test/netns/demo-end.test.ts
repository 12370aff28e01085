// How the demo ends when somebody ends it: soon, and with nothing left behind, at once or by the next demo.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import test, { type ExecutionContext } from "ava";
import { DEMO_DIRECTORY, DEMO_NETNS } from "../../daemon/demo/demo.ts";
import { NETNS_DIRECTORY } from "../../daemon/demo/lab.ts";
import { daemonProgram } from "../../daemon/package-files.ts";

const COMMAND = join(dirname(daemonProgram()), "portwright.mjs");
const LIMIT_MS = 60_000;

interface RunningDemo {
  readonly child: ChildProcess;
  readonly exit: Promise<number | NodeJS.Signals | null>;
  says(text: string): Promise<void>;
}

/** In a session of its own, as a terminal gives a command its own process group. */
function demo(t: ExecutionContext, ...args: readonly string[]): RunningDemo {
  const child = spawn(process.execPath, [COMMAND, "demo", ...args], {
    stdio: ["ignore", "pipe", "inherit"],
    detached: true,
  });
  let said = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => (said += text));
  const exit = once(child, "exit").then(([code, signal]) => (signal ?? code) as number | NodeJS.Signals | null);
  t.teardown(async () => {
    child.kill("SIGTERM");
    await exit;
  });
  const says = async (text: string): Promise<void> => {
    for (const end = Date.now() + LIMIT_MS; !said.includes(text); await sleep(20)) {
      if (Date.now() > end || child.exitCode !== null) throw new Error(`the demo did not say "${text}", but:\n${said}`);
    }
  };
  return { child, exit, says };
}

/** namespaces, directory and processes of the demo of that process id */
function leavings(pid: number | undefined): readonly string[] {
  const netns = readdirSync(NETNS_DIRECTORY).filter((name) => name.startsWith(`${DEMO_NETNS}${pid}-`));
  const directory = `${DEMO_DIRECTORY}${pid}`;
  return [...netns, ...(existsSync(directory) ? [directory] : []), ...processesOf(`${directory}/`)];
}

function processesOf(directory: string): readonly string[] {
  return readdirSync("/proc").filter((pid) => {
    try {
      return /^\d+$/.test(pid) && readFileSync(`/proc/${pid}/cmdline`, "utf8").includes(directory);
    } catch {
      return false; // it ended meanwhile
    }
  });
}

test.serial("Ctrl-C while it is built: it stops there, exits by 130 and leaves nothing", async (t) => {
  const { child, exit, says } = demo(t);
  await says("workload: web-1");
  process.kill(-(child.pid ?? 0), "SIGINT");
  t.is(await exit, 130);
  t.deepEqual(leavings(child.pid), []);
});

test.serial("Ctrl-C twice while it shows, to the whole process group: exit code 0 and nothing left", async (t) => {
  const { child, exit, says } = demo(t);
  await says("Running until Ctrl-C.");
  process.kill(-(child.pid ?? 0), "SIGINT");
  await says("Taking the demo down.");
  process.kill(-(child.pid ?? 0), "SIGINT");
  t.is(await exit, 0);
  t.deepEqual(leavings(child.pid), []);
});

test.serial("when it is killed its daemon ends too, and the next demo removes the rest", async (t) => {
  const killed = demo(t);
  await killed.says("workload: web-2");
  killed.child.kill("SIGKILL");
  t.is(await killed.exit, "SIGKILL");
  const directory = `${DEMO_DIRECTORY}${killed.child.pid}/`;
  for (const end = Date.now() + LIMIT_MS; processesOf(directory).length > 0 && Date.now() < end; ) await sleep(50);
  t.deepEqual(processesOf(directory), []);
  t.not(leavings(killed.child.pid).length, 0);

  const next = demo(t, "--once");
  t.is(await next.exit, 0);
  t.deepEqual(leavings(killed.child.pid), []);
  t.deepEqual(leavings(next.child.pid), []);
});
