// @ts-check
// Builds the addon with AddressSanitizer beside the normal one (build/asan) and runs the kernel tests on it:
// `node scripts/asan.mjs [test files]`. Leak detection is off: Node frees little at exit, so its reports would hide
// ours; test/netns/kernel-leak.test.ts watches descriptors, threads and memory instead.
import { execFileSync, spawnSync } from "node:child_process";
import { mkdirSync, readdirSync, rmSync, symlinkSync } from "node:fs";
import path from "node:path";
import { buildScript } from "./setup/build-script.mjs";
import { makeNodeDir } from "./setup/node-headers.mjs";
import { findNodeGyp } from "./setup/npm.mjs";
import { ROOT } from "./setup/root.mjs";
import { run } from "./setup/run.mjs";

const TREE = path.join(ROOT, "build/asan");

/** node-gyp builds in ./build only: it gets a directory of links to the sources, with headers of its own. */
function makeTree() {
  mkdirSync(TREE, { recursive: true });
  for (const name of ["binding.gyp", "package.json", "native", "bpf", "node_modules"]) {
    const link = path.join(TREE, name);
    rmSync(link, { force: true });
    symlinkSync(path.join(ROOT, name), link);
  }
}

await buildScript(async () => {
  makeTree();
  const common = [`--directory=${TREE}`, `--nodedir=${makeNodeDir(TREE)}`, "--jobs=max", "--loglevel=error"];
  const onFail = "building the addon with AddressSanitizer failed";
  await run(process.execPath, [findNodeGyp(), "configure", ...common, "--", "-Dasan=1"], { onFail });
  await run(process.execPath, [findNodeGyp(), "build", ...common], { onFail });

  const named = process.argv.slice(2);
  const kernelTests = readdirSync(path.join(ROOT, "test/netns")).filter((name) => /^kernel-.*\.test\.ts$/.test(name));
  const files = named.length > 0 ? named : kernelTests.map((name) => path.join("test/netns", name));
  const preload = execFileSync("g++", ["-print-file-name=libasan.so"], { encoding: "utf8" }).trim();
  const { status } = spawnSync("node_modules/.bin/ava", ["--timeout=10m", "--concurrency=1", ...files], {
    cwd: ROOT,
    stdio: "inherit",
    env: {
      ...process.env,
      LD_PRELOAD: preload,
      // A small quarantine of freed memory, or the leak test would see it grow.
      ASAN_OPTIONS: "detect_leaks=0:abort_on_error=1:detect_stack_use_after_return=1:quarantine_size_mb=2",
      PORTWRIGHT_ADDON: path.join(TREE, "build/Release/portwright.node"),
    },
  });
  process.exitCode = status ?? 1;
});
