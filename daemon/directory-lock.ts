/** One daemon a directory: a second one would undo what the first one is about to do. */
import { PortwrightError } from "./errors.ts";
import { isKernelError } from "./kernel/kernel-error.ts";
import type { Kernel } from "./kernel/kernel.ts";

export type DirectoryLock = ReturnType<Kernel["lockDirectory"]>;

export function lockOrRefuse(kernel: Kernel, directory: string): DirectoryLock {
  try {
    return kernel.lockDirectory(directory);
  } catch (error) {
    if (!isKernelError(error, "EAGAIN")) throw error;
    throw new PortwrightError("DAEMON_RUNNING", `another daemon works with ${directory}`, { cause: error });
  }
}
