/** What a demo that was killed could not remove itself: recognised by name, and by a process id that nobody has. */
import { readdir, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import type { Kernel } from "../kernel/kernel.ts";
import { removePinRoot } from "../pin-root.ts";
import { codeOf } from "../thrown.ts";
import { DEMO_DIRECTORY, DEMO_NETNS } from "./demo.ts";
import { NETNS_DIRECTORY, removeNetns } from "./lab.ts";

export async function removeLeavings(kernel: Kernel, say: (line: string) => void): Promise<void> {
  for (const path of await entries(dirname(DEMO_DIRECTORY), basename(DEMO_DIRECTORY))) {
    say(`removing what a demo left behind: ${path}`);
    for (const mount of ["bpf", "switch-bpf"]) removePinRoot(kernel, join(path, mount));
    await rm(path, { recursive: true, force: true });
  }
  for (const path of await entries(NETNS_DIRECTORY, DEMO_NETNS)) await removeNetns(kernel, path);
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
