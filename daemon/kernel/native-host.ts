/** The host's side of the door: bpffs, credentials of unix peers, sd_notify, and the layout of bpf/abi.h. */
import { closeSync } from "node:fs";
import type { Kernel } from "./kernel.ts";
import { nativeSync } from "./native-error.ts";

/** The functions of native/addon/host.cc. */
export interface HostAddon {
  isBpffs(path: string): boolean;
  mountBpffs(directory: string): void;
  unmountBpffs(directory: string): void;
  lockDirectory(path: string): number;
  /** gives what ends it */
  acceptCalls(listening: number, take: (connection: number, first: Buffer | null) => void): () => void;
  peerCredentials(fd: number): { pid: number; uid: number; gid: number };
  notify(socketPath: string, message: string): void;
  possibleCpus(): number;
  abi(): Record<string, number>;
}

export type Host = Pick<
  Kernel,
  | "isBpffs"
  | "mountBpffs"
  | "unmountBpffs"
  | "lockDirectory"
  | "acceptCalls"
  | "peerCredentials"
  | "cpus"
  | "abi"
  | "notify"
>;

export function nativeHost(addon: HostAddon): Host {
  return {
    isBpffs: (path) => nativeSync(() => addon.isBpffs(path)),
    mountBpffs: (directory) => nativeSync(() => addon.mountBpffs(directory)),
    unmountBpffs: (directory) => nativeSync(() => addon.unmountBpffs(directory)),
    lockDirectory: (path) => {
      const fd = nativeSync(() => addon.lockDirectory(path));
      return { release: () => closeSync(fd) };
    },
    acceptCalls: (listening, take) => ({ close: nativeSync(() => addon.acceptCalls(listening, take)) }),
    peerCredentials: (fd) => nativeSync(() => addon.peerCredentials(fd)),
    notify: (socketPath, message) => nativeSync(() => addon.notify(socketPath, message)),
    cpus: nativeSync(() => addon.possibleCpus()),
    abi: Object.freeze(addon.abi()),
  };
}
