/** The load generators, in C and in BPF: compiled into build/bench when their source is newer. */
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { packageRoot } from "../../daemon/package-files.ts";

export interface Programs {
  /** one frame, over and over: made by the kernel, and by a socket */
  readonly live: string;
  readonly send: string;
  /** a CNI plugin, over and over */
  readonly spawn: string;
  /** sink and blind */
  readonly bpf: string;
  /** what live needs */
  readonly source: string;
}

export function buildPrograms(): Programs {
  const sources = join(packageRoot(), "test/bench/load");
  const target = join(packageRoot(), "build/bench");
  mkdirSync(target, { recursive: true });
  const header = statSync(join(sources, "measure.h")).mtimeMs;
  const build = (
    source: string,
    result: string,
    compiler: string,
    args: readonly string[],
    libraries: readonly string[] = [],
  ): string => {
    const from = join(sources, source);
    const to = join(target, result);
    if (existsSync(to) && statSync(to).mtimeMs > Math.max(header, statSync(from).mtimeMs)) return to;
    execFileSync(compiler, [...args, from, "-o", to, ...libraries], { stdio: ["ignore", "inherit", "inherit"] });
    return to;
  };
  const c = ["-O2", "-Wall", "-Wextra", "-Werror", "-D_GNU_SOURCE"];
  const machine = process.arch === "arm64" ? "aarch64" : "x86_64";
  const bpf = ["-O2", "-g", "-target", "bpf", "-mcpu=v3", "-Wall", `-I/usr/include/${machine}-linux-gnu`, "-c"];
  return {
    live: build("live.c", "live", "gcc", c, ["-lbpf"]),
    send: build("send.c", "send", "gcc", c),
    spawn: build("spawn.c", "spawn", "gcc", c),
    bpf: build("bench.bpf.c", "bench.bpf.o", "clang-19", bpf),
    source: build("source.bpf.c", "source.bpf.o", "clang-19", bpf),
  };
}
