/**
 * What a row stands on: namespaces, a directory, child processes. `dispose` removes all of it, in the reverse order, after
 * a failure and after Ctrl-C as well; what even that could not remove (SIGKILL) the next run finds by its name.
 */
import { execFile, type ChildProcess } from "node:child_process";
import { mkdir, readdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Lab, NETNS_DIRECTORY, removeNetns, type LabHost } from "../../daemon/demo/lab.ts";
import type { Kernel } from "../../daemon/kernel/kernel.ts";
import { nativeKernel } from "../../daemon/kernel/native.ts";

const DIRECTORY = "/run";
const DIRECTORY_PREFIX = "pw-bench-";
const NETNS_PREFIX = "pwbench";

export class Scope {
  readonly kernel: Kernel;
  readonly lab: Lab;
  readonly directory: string;
  readonly signal: AbortSignal;
  readonly #undo: (() => unknown)[] = [];

  private constructor(kernel: Kernel, name: string, signal: AbortSignal) {
    this.kernel = kernel;
    this.lab = new Lab(kernel, `${NETNS_PREFIX}${process.pid}-${name}`);
    this.directory = join(DIRECTORY, `${DIRECTORY_PREFIX}${process.pid}-${name}`);
    this.signal = signal;
  }

  static async open(name: string, signal: AbortSignal): Promise<Scope> {
    const scope = new Scope(nativeKernel(), name, signal);
    await mkdir(scope.directory, { mode: 0o700 });
    scope.defer(() => rm(scope.directory, { recursive: true, force: true }));
    scope.defer(() => scope.lab.dispose());
    return scope;
  }

  /** Done at the end, last one first. */
  defer(undo: () => unknown): void {
    this.#undo.push(undo);
  }

  async dispose(): Promise<void> {
    const failures: unknown[] = [];
    for (const undo of this.#undo.splice(0).toReversed()) {
      try {
        await undo();
      } catch (error) {
        failures.push(error);
      }
    }
    if (failures.length > 0) throw new AggregateError(failures, "not everything could be removed");
  }

  /** A namespace without IPv6: no router solicitations between the measured frames. */
  async host(name: string): Promise<LabHost> {
    const host = await this.lab.host(name);
    await host.namespace.writeSysctl("net/ipv6/conf/all/disable_ipv6", "1");
    await host.namespace.writeSysctl("net/ipv6/conf/default/disable_ipv6", "1");
    return host;
  }

  /** A directory with a bpffs of its own. */
  async pinRoot(name: string): Promise<string> {
    const path = join(this.directory, name);
    await mkdir(path, { mode: 0o700 });
    this.kernel.mountBpffs(path);
    this.defer(() => this.kernel.unmountBpffs(path));
    return path;
  }

  /** Runs a program to its end, or to that of the bench; returns its stdout. */
  run(program: string, args: readonly string[], timeout = 120_000): Promise<string> {
    return new Promise((resolve, reject) => {
      const options = { signal: this.signal, timeout, maxBuffer: 1 << 26, killSignal: "SIGKILL" } as const;
      execFile(program, [...args], options, (error, stdout, stderr) => {
        if (error === null) resolve(stdout);
        else reject(this.signal.aborted ? error : new Error(`${program}: ${stderr.trim() || error.message}`));
      });
    });
  }

  /** A child that runs on; it ends with the scope. */
  adopt(child: ChildProcess): ChildProcess {
    const ended = new Promise<void>((resolve) => child.once("exit", () => resolve()));
    this.defer(async () => {
      if (child.exitCode !== null || child.signalCode !== null) return;
      child.kill("SIGKILL");
      await ended;
    });
    return child;
  }
}

/** Removes what benches left behind whose process is gone. */
export async function removeLeavings(kernel: Kernel): Promise<void> {
  for (const name of await ofTheDead(DIRECTORY, DIRECTORY_PREFIX)) {
    const path = join(DIRECTORY, name);
    await endProcessesOf(path);
    for (const entry of await readdir(path, { withFileTypes: true, recursive: true })) {
      const inside = join(entry.path, entry.name);
      if (entry.isDirectory() && kernel.isBpffs(inside)) kernel.unmountBpffs(inside);
    }
    await rm(path, { recursive: true, force: true });
  }
  for (const name of await ofTheDead(NETNS_DIRECTORY, NETNS_PREFIX)) {
    await removeNetns(kernel, join(NETNS_DIRECTORY, name));
  }
}

/** A daemon lives on when its bench is killed: it is known by the bench's directory among its arguments. */
async function endProcessesOf(directory: string): Promise<void> {
  const pids = (await readdir("/proc")).filter((name) => /^\d+$/.test(name));
  for (const pid of pids) {
    const args = (await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "")).split("\0");
    if (!args.some((arg) => arg.startsWith(`${directory}/`))) continue;
    process.kill(Number(pid), "SIGKILL");
    for (let i = 0; i < 100 && isAlive(Number(pid)); i++) await sleep(20);
  }
}

async function ofTheDead(directory: string, prefix: string): Promise<readonly string[]> {
  const names = await readdir(directory).catch(() => []);
  return names.filter((name) => {
    const pid = name.startsWith(prefix) ? /^(\d+)-/.exec(name.slice(prefix.length))?.[1] : undefined;
    return pid !== undefined && !isAlive(Number(pid));
  });
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}
