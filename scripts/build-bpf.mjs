// Compiles every bpf/*.bpf.c to build/bpf/*.bpf.o. The objects are the same on every machine of one byte order: DWARF,
// which would hold paths, is stripped; BTF stays. A newer object than all of its sources is left alone.
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, renameSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const outDir = join(root, "build", "bpf");

/** The clang that the project is tested with, else the newest there is. */
function findTool(name) {
  const versions = ["19", "22", "21", "20", "18", "17", "16", "15", "14"];
  for (const candidate of [...versions.map((version) => `${name}-${version}`), name]) {
    if (spawnSync(candidate, ["--version"], { stdio: "ignore" }).status === 0) return candidate;
  }
  return undefined;
}

/** linux/types.h includes asm/types.h, which Debian keeps in a directory named after the machine. */
function multiarchInclude() {
  const machine = { x64: "x86_64", arm64: "aarch64", riscv64: "riscv64", ppc64: "powerpc64le", s390x: "s390x" };
  const directory = `/usr/include/${machine[process.arch] ?? process.arch}-linux-gnu`;
  return existsSync(directory) ? [`-I${directory}`] : [];
}

function sourcesIn(directory) {
  return readdirSync(directory)
    .filter((name) => name.endsWith(".h") || name.endsWith(".c"))
    .map((name) => join(directory, name));
}

const bpf = join(root, "bpf");
const programs = sourcesIn(bpf).filter((path) => path.endsWith(".bpf.c"));
const inputs = [fileURLToPath(import.meta.url), ...sourcesIn(bpf), ...sourcesIn(join(bpf, "lib"))];
const newest = Math.max(...inputs.map((path) => statSync(path).mtimeMs));
const force = process.argv.includes("--force");

mkdirSync(outDir, { recursive: true });
for (const source of programs) {
  const object = join(outDir, source.slice(bpf.length + 1).replace(/\.c$/, ".o"));
  if (!force && existsSync(object) && statSync(object).mtimeMs > newest) continue;
  const clang = findTool("clang");
  if (clang === undefined) {
    console.error("build-bpf: no clang found; install clang-19 (Debian: apt-get install clang-19 llvm-19)");
    process.exit(1);
  }
  const temporary = `${object}.${process.pid}`;
  const flags = ["-O2", "-g", "-target", "bpf", "-mcpu=v3", "-Wall", "-Wextra", "-Wno-unused-parameter", "-Werror"];
  const endian = process.arch === "s390x" ? [] : ["-mlittle-endian"];
  const run = spawnSync(clang, [...flags, ...endian, ...multiarchInclude(), "-c", source, "-o", temporary], {
    stdio: "inherit",
  });
  if (run.status !== 0) process.exit(run.status ?? 1);
  const strip = findTool("llvm-strip");
  if (strip !== undefined) execFileSync(strip, ["-g", temporary]);
  renameSync(temporary, object);
  console.log(`build-bpf: ${object.slice(root.length + 1)}`);
}
