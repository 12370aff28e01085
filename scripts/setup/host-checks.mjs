// @ts-check
// What the machine must offer before anything is installed: Linux, root with its capabilities, a kernel with BPF.
import { existsSync, readFileSync } from "node:fs";
import os from "node:os";

/** The bpf(2) features that the switch cannot do without are all in 5.17; newer ones (tcx, 6.6) are probed at run time. */
export const MIN_KERNEL = /** @type {const} */ ([5, 17]);

/** uapi/linux/capability.h */
const NEEDED_CAPABILITIES = /** @type {const} */ ([
  ["CAP_NET_ADMIN", 12n],
  ["CAP_NET_RAW", 13n],
  ["CAP_SYS_ADMIN", 21n],
]);

/**
 * @typedef {object} HostFacts
 * @property {string} platform process.platform
 * @property {string} release os.release()
 * @property {number} uid effective user id
 * @property {bigint} capabilities CapEff of /proc/self/status
 * @property {boolean} bpfSyscall the kernel was built with CONFIG_BPF_SYSCALL
 */

/** @returns {HostFacts} */
export function hostFacts() {
  const linux = process.platform === "linux";
  return {
    platform: process.platform,
    release: os.release(),
    uid: process.geteuid?.() ?? -1,
    capabilities: linux ? effectiveCapabilities(readFileSync("/proc/self/status", "utf8")) : 0n,
    // Both files exist only with CONFIG_BPF_SYSCALL (kernel/bpf/syscall.c, kernel/bpf/sysfs_btf.c).
    bpfSyscall: ["/proc/sys/kernel/unprivileged_bpf_disabled", "/sys/kernel/btf/vmlinux"].some((path) =>
      existsSync(path),
    ),
  };
}

/**
 * @param {string} status text of /proc/self/status
 * @returns {bigint}
 */
export function effectiveCapabilities(status) {
  const hex = /^CapEff:\s*([0-9a-f]+)$/m.exec(status)?.[1];
  return hex === undefined ? 0n : BigInt(`0x${hex}`);
}

/**
 * @param {HostFacts} facts
 * @returns {string[]} one sentence for each thing that is wrong
 */
export function hostProblems(facts) {
  if (facts.platform !== "linux") return [`Portwright runs on Linux only; this is ${facts.platform}.`];
  const problems = [];
  const [major, minor] = facts.release.split(/[.-]/).map(Number);
  const [minMajor, minMinor] = MIN_KERNEL;
  if (!major || major < minMajor || (major === minMajor && (minor ?? 0) < minMinor))
    problems.push(`The kernel is ${facts.release}; the eBPF switch needs ${minMajor}.${minMinor} or newer.`);
  if (!facts.bpfSyscall)
    problems.push(
      "This kernel has no BPF (neither /proc/sys/kernel/unprivileged_bpf_disabled nor /sys/kernel/btf/vmlinux exists): boot one built with CONFIG_BPF_SYSCALL, as Debian's kernels are.",
    );
  if (facts.uid !== 0) {
    problems.push(
      `Root is needed to make network namespaces and load BPF programs, and this is user id ${facts.uid}: run the same command by sudo or as root.`,
    );
  } else {
    const missing = NEEDED_CAPABILITIES.filter(([, bit]) => !((facts.capabilities >> bit) & 1n)).map(([name]) => name);
    if (missing.length > 0)
      problems.push(`Root here lacks ${missing.join(", ")}: a container must be started with --privileged.`);
  }
  return problems;
}
