/** What a demo that was killed could not remove itself: recognised by name, and by a process id that nobody has. */
import { readdir, readFile, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Kernel } from "../kernel/kernel.ts";
import { removePinRoot } from "../pin-root.ts";
import { codeOf } from "../thrown.ts";
import { DEMO_DIRECTORY, DEMO_NETNS } from "./demo.ts";
import { NETNS_DIRECTORY, removeNetns } from "./lab.ts";

export async function removeLeavings(kernel: Kernel, say: (line: string) => void): Promise<void> {
  for (const path of await entries(dirname(DEMO_DIRECTORY), basename(DEMO_DIRECTORY))) {
    say(`removing what a demo left behind: ${path}`);
    await endDaemonsOf(path);
    for (const mount of ["bpf", "switch-bpf"]) removePinRoot(kernel, join(path, mount));
    await rm(path, { recursive: true, force: true });
  }
  for (const path of await entries(NETNS_DIRECTORY, DEMO_NETNS)) await removeNetns(kernel, path);
}

/** Its daemon ends by itself when the demo is killed, and may still be about it: known by the demo's directory in its arguments. */
async function endDaemonsOf(directory: string): Promise<void> {
  for (const pid of (await readdir("/proc")).filter((name) => /^\d+$/.test(name)).map(Number)) {
    const args = (await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "")).split("\0");
    if (!args.includes("--run-dir") || !args.some((arg) => arg.startsWith(`${directory}/`))) continue;
    process.kill(pid, "SIGKILL");
    for (let i = 0; i < 100 && isAlive(pid); i++) await sleep(20);
  }
}

/** paths `<directory>/<prefix><pid>…` of processes that are gone */
async function entries(directory: string, prefix: string): Promise<readonly string[]> {
  const names = await readdir(directory).catch(() => []);
  return names
    .filter((name) => {
      const pid = new RegExp(`^${prefix}(\\d+)(-|$)`).exec(name)?.[1];
      return pid !== undefined && !isAlive(Number(pid));
    })
    .map((name) => join(directory, name));
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return codeOf(error) === "EPERM";
  }
}
