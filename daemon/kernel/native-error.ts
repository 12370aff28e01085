/** Turns what the addon throws (Executor::ToJs in native/addon/executor.cc) into a KernelError. Other errors pass. */
import { KernelError } from "./kernel-error.ts";

interface NativeError extends Error {
  readonly code: string;
  readonly errno: number;
  readonly op: string;
  readonly object: string;
  readonly kernelText: string;
  /** a failed BPF load: everything that libbpf and the verifier said */
  readonly log?: string;
}

/** A BPF object that did not load. `kernelText` has the last lines of the verifier's log, `log` has all of it. */
export class BpfLoadError extends KernelError {
  readonly log: string;

  constructor(error: NativeError, log: string) {
    super(error);
    this.log = log;
  }
}

function isNativeError(error: unknown): error is NativeError {
  return error instanceof Error && "errno" in error && "op" in error && "kernelText" in error;
}

function fromNative(error: unknown): unknown {
  if (error instanceof KernelError || !isNativeError(error)) return error;
  return error.log === undefined ? new KernelError(error) : new BpfLoadError(error, error.log);
}

/** Awaits a call of the addon, also one that throws before it has a promise. */
export async function native<T>(call: () => T | Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (error) {
    throw fromNative(error);
  }
}

export function nativeSync<T>(call: () => T): T {
  try {
    return call();
  } catch (error) {
    throw fromNative(error);
  }
}

/** The end of a namespace's thread stops everything on it: a close() that comes later has nothing left to do. */
export async function ignoreClosed(closing: Promise<void>): Promise<void> {
  try {
    await closing;
  } catch (error) {
    if (!(error instanceof KernelError && error.code === "ESHUTDOWN")) throw error;
  }
}
