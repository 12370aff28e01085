// @ts-check
// Builds the CNI plugin executable build/cni/portwright: static, so that it starts in a fraction of a millisecond and
// needs no library of the host. `build-shim.mjs [output [compiler option ...]]`: tests compile in their own paths.
import { mkdirSync, readFileSync, renameSync } from "node:fs";
import path from "node:path";
import { buildScript } from "./setup/build-script.mjs";
import { ROOT } from "./setup/root.mjs";
import { run } from "./setup/run.mjs";

const { version } = JSON.parse(readFileSync(path.join(ROOT, "package.json"), "utf8"));
const [output = path.join(ROOT, "build/cni/portwright"), ...options] = process.argv.slice(2);
const sources = ["main.c", "client.c", "queue.c", "json.c"].map((file) => path.join(ROOT, "native/shim", file));
const warnings = ["-Wall", "-Wextra", "-Werror", "-Wshadow", "-Wconversion", "-Wformat=2"];
const hardening = [
  "-static", // musl-gcc knows no static-pie: it would make that a dynamic executable
  "-fstack-protector-strong",
  "-fstack-clash-protection",
  "-ftrivial-auto-var-init=zero",
  "-Wl,-z,relro,-z,now,-z,noexecstack",
];
const size = ["-Os", "-s", "-fno-common", "-ffunction-sections", "-fdata-sections", "-Wl,--gc-sections"];

await buildScript(async () => {
  mkdirSync(path.dirname(output), { recursive: true });
  // Replaced as a whole: a runtime may be starting the old one right now.
  const temporary = `${output}.${process.pid}`;
  const definitions = ["-D_GNU_SOURCE", `-DPW_VERSION="${version}"`];
  const all = ["-std=gnu17", ...size, ...warnings, ...hardening, ...definitions, ...options];
  // musl: starts in half the time of a static glibc program.
  await run("musl-gcc", [...all, "-o", temporary, ...sources], { onFail: "building the CNI plugin failed" });
  renameSync(temporary, output);
});
