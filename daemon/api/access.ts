/** Who may call: the peer of a unix socket by SO_PEERCRED. Whatever cannot be known is refused. */
import type { Server, Socket } from "node:net";
import type { Kernel } from "../kernel/kernel.ts";
import { messageOf } from "../thrown.ts";

export type PeerKernel = Pick<Kernel, "peerCredentials">;

export interface PeerVerdict {
  readonly allowed: boolean;
  /** for the message and the log */
  readonly who: string;
}

/** The kernel fixed the credentials when the peer connected, so they are asked for once a connection. */
export class PeerGuard {
  readonly #kernel: PeerKernel;
  readonly #uids: ReadonlySet<number>;
  readonly #verdicts = new WeakMap<Socket, PeerVerdict>();

  constructor(kernel: PeerKernel, uids: readonly number[]) {
    this.#kernel = kernel;
    this.#uids = new Set(uids);
  }

  check(socket: Socket): PeerVerdict {
    let verdict = this.#verdicts.get(socket);
    if (verdict === undefined) {
      const descriptor = descriptorOf(socket);
      verdict = descriptor === null ? { allowed: false, who: "a peer that is gone" } : this.checkDescriptor(descriptor);
      this.#verdicts.set(socket, verdict);
    }
    return verdict;
  }

  checkDescriptor(connection: number): PeerVerdict {
    try {
      const { pid, uid } = this.#kernel.peerCredentials(connection);
      return { allowed: this.#uids.has(uid), who: `uid ${uid} (process ${pid})` };
    } catch (error) {
      return { allowed: false, who: `a peer without credentials (${messageOf(error)})` };
    }
  }
}

/** null: it has none (any more). Node has no public name for it. */
export function descriptorOf(owner: Socket | Server): number | null {
  const fd = (owner as { _handle?: { fd?: number } | null })._handle?.fd;
  return fd === undefined || fd < 0 ? null : fd;
}
