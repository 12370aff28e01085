/** libcni as a driver: the Go program in test/peers/libcni, built from Debian's sources without any network. */
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { runProgram } from "../../daemon/demo/run-program.ts";
import { cniPluginFile } from "../../daemon/package-files.ts";
import type { LabHost } from "../../daemon/demo/lab.ts";

const run = promisify(execFile);
/** where Debian keeps the sources of Go packages */
const GOPATH = "/usr/share/gocode";
export const LIBCNI = join(GOPATH, "src/github.com/containernetworking/cni/libcni");
const GO = "/usr/bin/go";

export const hasLibcni = existsSync(LIBCNI) && existsSync(GO);

export interface LibcniAnswer {
  readonly result?: unknown;
  readonly code?: number;
  readonly msg?: string;
}

export interface LibcniCall {
  readonly verb: "ADD" | "CHECK" | "DEL" | "VERSION";
  readonly containerId: string;
  readonly pod: LabHost;
  /** the list of plugins, with its version and name */
  readonly list: object;
  /** what the runtime gives to plugins that have the capability */
  readonly runtime?: Readonly<Record<string, unknown>>;
  readonly args?: readonly (readonly [string, string])[];
}

export class Libcni {
  readonly #directory: string;

  private constructor(directory: string) {
    this.#directory = directory;
  }

  static async build(): Promise<Libcni> {
    const directory = await mkdtemp(join(tmpdir(), "pw-libcni-"));
    const env = {
      PATH: "/usr/bin:/bin",
      HOME: directory,
      GO111MODULE: "off",
      GOPATH,
      GOCACHE: join(directory, "cache"),
    };
    const cwd = join(import.meta.dirname, "../peers/libcni");
    await run(GO, ["build", "-o", join(directory, "libcni"), "."], { cwd, env });
    return new Libcni(directory);
  }

  async call({ pod, containerId, args = [], runtime = {}, verb, list }: LibcniCall): Promise<LibcniAnswer> {
    const request = {
      ...{ verb, containerId, list, args, runtime, ifname: "eth0", netns: pod.path },
      path: [dirname(cniPluginFile()), "/usr/lib/cni"],
      cacheDir: join(this.#directory, "results"),
    };
    const options = { input: JSON.stringify(request), timeoutMs: 60_000, env: { PATH: "/usr/bin:/bin" } };
    const { stdout, stderr } = await runProgram(join(this.#directory, "libcni"), [], options);
    if (stdout === "") throw new Error(`libcni said nothing: ${stderr}`);
    return JSON.parse(stdout) as LibcniAnswer;
  }

  async remove(): Promise<void> {
    await rm(this.#directory, { recursive: true, force: true });
  }
}
