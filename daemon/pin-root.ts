/** The directory that pins live in: on the bpffs that systemd mounts, or on one of its own that is mounted here. */
import { mkdirSync, readdirSync } from "node:fs";
import { dirname } from "node:path";
import { PortwrightError } from "./errors.ts";
import type { Kernel } from "./kernel/kernel.ts";
import { codeOf } from "./thrown.ts";

/** sysfs takes no directories: /sys/fs/bpf without its bpffs is no place to make one in. */
export function preparePinRoot(kernel: Pick<Kernel, "isBpffs" | "mountBpffs">, directory: string): void {
  const onBpffs = kernel.isBpffs(directory) || kernel.isBpffs(dirname(directory));
  try {
    mkdirSync(directory, { mode: 0o700 }); // not recursive: Node's own recursion never ends where sysfs says EPERM
  } catch (error) {
    const code = codeOf(error);
    if (code !== "EEXIST") {
      const where = onBpffs ? "on the bpffs" : "and no bpffs is mounted";
      throw new PortwrightError(
        "BPFFS_ABSENT",
        `cannot make ${directory} (${code}), ${where} at ${dirname(directory)}`,
        { cause: error },
      );
    }
  }
  if (onBpffs) return;
  // A mount hides what is below it: --pin-dir /tmp would take everybody's /tmp away.
  if (readdirSync(directory).length > 0) {
    throw new PortwrightError("BPFFS_ABSENT", `${directory} is on no bpffs, and not empty: none is mounted over it`);
  }
  kernel.mountBpffs(directory);
}

/** Lets go of a bpffs that was mounted for it, and with it of all that is pinned. */
export function removePinRoot(kernel: Pick<Kernel, "isBpffs" | "unmountBpffs">, directory: string): void {
  if (kernel.isBpffs(directory)) kernel.unmountBpffs(directory);
}
