/** The door to the real kernel: `Kernel` over the addon. */
import type { Kernel, NetnsHandle } from "./kernel.ts";
import { native, nativeSync } from "./native-error.ts";
import { nativeHost } from "./native-host.ts";
import { loadAddon } from "./native-loader.ts";
import { NativeNamespace } from "./native-namespace.ts";
import type { ProgramCall, ProgramEnd } from "./program.ts";

/** The functions that concern namespaces from outside. */
export interface NetnsAddon {
  openNetns(path: string): NetnsHandle;
  ownNetns(): NetnsHandle;
  enter(handle: NetnsHandle): Promise<object>;
  createNetns(path: string): Promise<void>;
  removeNetns(path: string): Promise<void>;
  runProgram(
    file: string,
    env: readonly string[],
    stdin: string,
    timeout: number,
    maxOutput: number,
    onOutput?: (stdout: string) => void,
  ): Promise<ProgramEnd>;
}

/** A namespace of the addon also takes the size of an event listener's buffer (native-namespace.ts). */
export interface NativeKernel extends Kernel {
  enter(handle: NetnsHandle): Promise<NativeNamespace>;
}

let kernel: NativeKernel | undefined;

/** The process's one kernel; loads the addon on first use. */
export function nativeKernel(): NativeKernel {
  if (kernel === undefined) {
    const addon = loadAddon();
    kernel = Object.freeze({
      ...nativeHost(addon),
      openNetns: (path: string) => nativeSync(() => addon.openNetns(path)),
      ownNetns: () => nativeSync(() => addon.ownNetns()),
      enter: async (handle: NetnsHandle) => new NativeNamespace(addon, await native(() => addon.enter(handle)), handle),
      createNetns: (path: string) => native(() => addon.createNetns(path)),
      removeNetns: (path: string) => native(() => addon.removeNetns(path)),
      runProgram: ({ file, env, stdin, timeout, maxOutput, onOutput }: ProgramCall) => {
        const variables = Object.entries(env).map(([name, value]) => `${name}=${value}`);
        return native(() => addon.runProgram(file, variables, stdin, timeout, maxOutput, onOutput));
      },
    });
  }
  return kernel;
}
