// @ts-check
// The build steps, in order: what each reads and makes, and how it is run. A step runs when its stamp says that an input,
// a tool or its own script changed, or when what it made is gone.
import { readdirSync } from "node:fs";
import path from "node:path";
import { findNpm } from "./npm.mjs";
import { ROOT } from "./root.mjs";
import { run } from "./run.mjs";
import { fingerprint, inputFiles, isCurrent, writeStamp } from "./stamp.mjs";

/**
 * @typedef {object} Step
 * @property {string} name
 * @property {string} what the line that the user reads
 * @property {readonly string[]} inputs files and directories, relative to the root
 * @property {(file: string) => boolean} [keep] which files of the directories count
 * @property {RegExp} [tools] Debian packages whose versions matter
 * @property {() => string[]} outputs relative to the root
 * @property {string} stamp relative to the root
 * @property {() => Promise<void>} work
 */

/**
 * @param {string} file a script that builds one thing, run by this Node
 * @param {string[]} args
 */
const script =
  (file, ...args) =>
  () =>
    run(process.execPath, [path.join(ROOT, file), ...args], { onFail: `${file} failed` });

const filesEnding = (/** @type {string[]} */ ...ends) => {
  return (/** @type {string} */ file) => ends.some((end) => file.endsWith(end));
};

/** @type {readonly Step[]} */
export const STEPS = [
  {
    name: "npm",
    what: "installing npm packages (npm ci), because node_modules is missing or package-lock.json changed",
    inputs: ["package-lock.json"],
    outputs: () => ["node_modules/.package-lock.json"],
    stamp: "node_modules/.portwright-stamp",
    // No package needs its install script: binaries come as optional packages or prebuilt.
    work: () =>
      run(process.execPath, [findNpm(), "ci", "--include=dev", "--ignore-scripts", "--no-fund", "--no-audit"], {
        onFail: "npm ci failed",
      }),
  },
  {
    name: "addon",
    what: "building the native addon (libbpf, libmnl)",
    inputs: ["binding.gyp", "native/addon", "bpf/abi.h", "scripts/build-addon.mjs", "scripts/setup/node-headers.mjs"],
    keep: filesEnding(".cc", ".c", ".h"),
    tools: /^(g\+\+|libbpf-dev|libmnl-dev)$/,
    outputs: () => ["build/Release/portwright.node"],
    stamp: "build/stamps/addon",
    work: script("scripts/build-addon.mjs"),
  },
  {
    name: "bpf",
    what: "compiling the BPF programs",
    inputs: ["bpf", "scripts/build-bpf.mjs"],
    keep: filesEnding(".c", ".h"),
    tools: /^(clang-\d+|libbpf-dev|linux-libc-dev)$/,
    outputs: () =>
      readdirSync(path.join(ROOT, "bpf"))
        .filter((name) => name.endsWith(".bpf.c"))
        .map((name) => `build/bpf/${name.slice(0, -2)}.o`),
    stamp: "build/stamps/bpf",
    work: script("scripts/build-bpf.mjs", "--force"),
  },
  {
    name: "shim",
    what: "building the CNI plugin",
    inputs: ["native/shim", "scripts/build-shim.mjs", "scripts/setup/static-program.mjs"],
    keep: filesEnding(".c", ".h", ".mjs"),
    tools: /^musl-tools$/,
    outputs: () => ["build/cni/portwright"],
    stamp: "build/stamps/shim",
    work: script("scripts/build-shim.mjs"),
  },
  {
    name: "dhcp",
    what: "building the DHCP client's launcher and hook",
    inputs: ["native/dhcp", "scripts/build-dhcp.mjs", "scripts/setup/static-program.mjs"],
    keep: filesEnding(".c", ".mjs"),
    tools: /^musl-tools$/,
    outputs: () => ["build/dhcp/portwright-dhcp-launch", "build/dhcp/portwright-dhcp-hook"],
    stamp: "build/stamps/dhcp",
    work: script("scripts/build-dhcp.mjs"),
  },
  {
    name: "proto",
    what: "generating the protobuf module",
    inputs: ["daemon/api/portwright.proto", "package-lock.json", "scripts/build-proto.mjs"],
    outputs: () => ["daemon/api/generated/portwright.pb.js", "daemon/api/generated/portwright.pb.d.ts"],
    stamp: "build/stamps/proto",
    work: script("scripts/build-proto.mjs"),
  },
  {
    name: "js",
    what: "bundling the daemon and the command",
    inputs: ["daemon", "package-lock.json", "tsconfig.json", "scripts/build-js.mjs"],
    keep: filesEnding(".ts", ".js", ".json"),
    outputs: () => ["dist/portwrightd.mjs", "dist/portwright.mjs"],
    stamp: "build/stamps/js",
    work: script("scripts/build-js.mjs"),
  },
];

/**
 * @param {Step} step
 * @param {ReadonlyMap<string, string>} versions of the installed Debian packages
 * @returns {string}
 */
export function stepFingerprint({ inputs, keep, tools }, versions) {
  const used = [...versions].filter(([name]) => tools?.test(name)).map(([name, version]) => `${name} ${version}`);
  return fingerprint(ROOT, inputFiles(ROOT, inputs, keep), [process.version, process.arch, ...used.toSorted()]);
}

/**
 * @param {Step} step
 * @param {ReadonlyMap<string, string>} versions
 */
export function isDone(step, versions) {
  const outputs = step.outputs().map((file) => path.join(ROOT, file));
  return isCurrent(path.join(ROOT, step.stamp), stepFingerprint(step, versions), outputs);
}

/**
 * @param {Step} step
 * @param {ReadonlyMap<string, string>} versions
 */
export async function perform(step, versions) {
  // Taken before the work: what is edited meanwhile makes the next set-up run the step again.
  const value = stepFingerprint(step, versions);
  await step.work();
  writeStamp(path.join(ROOT, step.stamp), value);
}
