/**
 * libsystemd through ffi-napi: the one file that uses it. Only for rare, synchronous calls on the main thread: ffi-napi
 * crashes when a Worker that has loaded it ends, and its asynchronous calls and pointers are not to be relied upon.
 */
import { createRequire } from "node:module";
import type { NotifyLibrary } from "./notify.ts";

/** What is used of ffi-napi, which brings no types. A Buffer goes where C has a pointer. */
interface FfiNapi {
  Library(
    file: string,
    functions: Readonly<Record<string, readonly [string, readonly string[]]>>,
  ): {
    sd_notify(unsetEnvironment: number, state: string): number;
    sd_watchdog_enabled(unsetEnvironment: number, usec: Buffer): number;
  };
}

/** Throws where ffi-napi or the library is missing. */
export function loadLibsystemd(): NotifyLibrary {
  const ffi = createRequire(import.meta.url)("ffi-napi") as FfiNapi;
  const systemd = ffi.Library("libsystemd.so.0", {
    sd_notify: ["int", ["int", "string"]],
    sd_watchdog_enabled: ["int", ["int", "pointer"]],
  });
  return {
    notify: (state) => {
      const result = systemd.sd_notify(0, state);
      if (result < 0) throw new Error(`sd_notify failed with errno ${-result}`);
    },
    watchdogMicroseconds: () => {
      const usec = Buffer.alloc(8);
      return systemd.sd_watchdog_enabled(0, usec) > 0 ? Number(usec.readBigUInt64LE()) : 0;
    },
  };
}
