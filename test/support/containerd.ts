/**
 * A containerd of a test's own: its directories and its socket are the test's, its containers have no cgroup and their
 * file system is busybox. `ctr run --cni` looks at fixed places for networks and plugins: it sees other ones there, in
 * a mount namespace of its own.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { copyFile, mkdir, symlink, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import type { ExecutionContext } from "ava";
import { type ProgramResult, runProgram } from "../../daemon/demo/run-program.ts";
import { unpackedPackages } from "../vm/unpacked.mjs";
import { until } from "./until.ts";

const BUSYBOX = "/bin/busybox";
/** what needs more than this machine, or is not needed */
const OFF = [
  "grpc.v1.cri",
  "snapshotter.v1.btrfs",
  "snapshotter.v1.zfs",
  "snapshotter.v1.devmapper",
  "snapshotter.v1.aufs",
];

/** null: it cannot be had here */
export async function containerdPrograms(): Promise<string | null> {
  if (process.getuid?.() !== 0 || !existsSync(BUSYBOX)) return null;
  return await unpackedPackages("containerd", ["containerd", "runc"]).then(
    (tree) => tree,
    () => null, // neither in the cache nor on any mirror that is reached
  );
}

export interface ContainerdOptions {
  /** where the packages are unpacked */
  readonly programs: string;
  /** gets everything that is made; short, since a socket's path is */
  readonly directory: string;
  /** directory of the CNI plugins */
  readonly plugins: string;
  /** the list of plugins of the only network */
  readonly network: object;
}

export class Containerd {
  readonly #at: (name: string) => string;
  readonly #env: Record<string, string>;
  readonly #plugins: string;

  private constructor({ programs, directory, plugins }: ContainerdOptions) {
    this.#at = (name) => join(directory, name);
    this.#env = { PATH: `${programs}/usr/bin:${programs}/usr/sbin:/usr/sbin:/usr/bin:/sbin:/bin` };
    this.#plugins = plugins;
  }

  static async start(t: ExecutionContext, options: ContainerdOptions): Promise<Containerd> {
    const self = new Containerd(options);
    const at = self.#at;
    for (const name of ["fs/bin", "fs/proc", "fs/dev", "fs/sys", "net.d", "cni"])
      await mkdir(at(name), { recursive: true });
    await copyFile(BUSYBOX, at("fs/bin/busybox"));
    await writeFile(at("net.d/10-net.conflist"), JSON.stringify(options.network));
    const disabled = OFF.map((plugin) => `"io.containerd.${plugin}"`).join(", ");
    await writeFile(
      at("config.toml"),
      `version = 2\nroot = "${at("root")}"\nstate = "${at("state")}"\ndisabled_plugins = [${disabled}]\n` +
        `[grpc]\naddress = "${at("c.sock")}"\n`,
    );
    const child = spawn("containerd", ["--config", at("config.toml")], { env: self.#env, stdio: "ignore" });
    t.teardown(() => end(child));
    await until(async () => (await self.#ctr(["version"])).ended === 0);
    return self;
  }

  /** Runs a command of busybox in a container of the network, to its end. */
  async run(id: string, ...command: readonly string[]): Promise<ProgramResult> {
    const options = ["--rm", "--cni", "--cgroup", "", "--runc-root", this.#at("runc"), "--rootfs", this.#at("fs")];
    const result = await this.#ctr(["run", ...options, id, "/bin/busybox", ...command]);
    // Where its network fails ctr leaves the container as it was made, and a process that looks after it.
    if (result.ended !== 0) {
      await this.#ctr(["task", "rm", "--force", id]);
      await this.#ctr(["container", "rm", id]);
    }
    return result;
  }

  #ctr(args: readonly string[]): Promise<ProgramResult> {
    const inPlace = [
      // /etc and /opt may lack the directories, and are not ours to add to: tmpfs over them, in here alone.
      'mount -t tmpfs cni /opt && mkdir -p /opt/cni && ln -s "$1" /opt/cni/bin',
      'mount -t overlay -o "lowerdir=/etc,upperdir=$3/up,workdir=$3/work" cni /etc && mkdir -p /etc/cni && ln -s "$2" /etc/cni/net.d',
      "mount -t tmpfs cni /var/lib",
      'shift 3 && exec ctr "$@"',
    ].join(" && ");
    const private_ = ["--mount", "--propagation", "private", "sh", "-c"];
    const script = `mount -t tmpfs cni "$3" && mkdir "$3/up" "$3/work" && ${inPlace}`;
    const places = [this.#plugins, this.#at("net.d"), this.#at("cni")];
    const call = ["-a", this.#at("c.sock"), ...args];
    return runProgram("unshare", [...private_, script, "sh", ...places, ...call], {
      env: this.#env,
      timeoutMs: 60_000,
    });
  }
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, "exit");
  child.kill("SIGTERM");
  await gone;
}

/** with a link to each of these programs */
export async function pluginDirectory(directory: string, ...programs: readonly string[]): Promise<string> {
  await mkdir(directory, { recursive: true });
  for (const program of programs) await symlink(program, join(directory, basename(program)));
  return directory;
}
