// @ts-check
// Compiles a small C program statically, so that it starts in a fraction of a millisecond and needs no library of the host.
import { mkdirSync, readFileSync, renameSync } from "node:fs";
import path from "node:path";
import { ROOT } from "./root.mjs";
import { run } from "./run.mjs";

const { version } = JSON.parse(readFileSync(path.join(ROOT, "package.json"), "utf8"));
const warnings = ["-Wall", "-Wextra", "-Werror", "-Wshadow", "-Wconversion", "-Wformat=2"];
const hardening = [
  "-static", // musl-gcc knows no static-pie: it would make that a dynamic executable
  "-fstack-protector-strong",
  "-fstack-clash-protection",
  "-ftrivial-auto-var-init=zero",
  "-Wl,-z,relro,-z,now,-z,noexecstack",
];
const size = ["-Os", "-s", "-fno-common", "-ffunction-sections", "-fdata-sections", "-Wl,--gc-sections"];

/**
 * @param {{ output: string, sources: readonly string[], options: readonly string[], what: string }} program
 */
export async function buildStaticProgram({ output, sources, options, what }) {
  mkdirSync(path.dirname(output), { recursive: true });
  // Replaced as a whole: somebody may be starting the old one right now.
  const temporary = `${output}.${process.pid}`;
  const definitions = ["-D_GNU_SOURCE", `-DPW_VERSION="${version}"`];
  const all = ["-std=gnu17", ...size, ...warnings, ...hardening, ...definitions, ...options];
  const files = sources.map((file) => path.join(ROOT, file));
  // musl: starts in half the time of a static glibc program.
  await run("musl-gcc", [...all, "-o", temporary, ...files], { onFail: `building ${what} failed` });
  renameSync(temporary, output);
}
