/**
 * A small network laboratory: namespaces and the cables between them, all removed by `dispose`, also after a failure.
 * Nothing outside the namespaces that it made is touched.
 */
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { isKernelError } from "../kernel/kernel-error.ts";
import type { Kernel, Namespace, NetnsHandle } from "../kernel/kernel.ts";

export interface LabHost {
  readonly name: string;
  /** path of the namespace, for `nsenter --net=` and CNI_NETNS */
  readonly path: string;
  readonly handle: NetnsHandle;
  readonly namespace: Namespace;
}

export interface CableEnd {
  readonly host: LabHost;
  readonly interface: string;
  readonly mtu?: number;
}

/** Where `ip netns` looks, so that a user can look around with the usual tools. */
export const NETNS_DIRECTORY = "/run/netns";

export class Lab {
  readonly #kernel: Kernel;
  readonly #prefix: string;
  readonly #hosts: LabHost[] = [];
  readonly #paths: string[] = [];

  /** Namespaces are called `<prefix>-<name>`. */
  constructor(kernel: Kernel, prefix: string) {
    this.#kernel = kernel;
    this.#prefix = prefix;
  }

  async host(name: string): Promise<LabHost> {
    await mkdir(NETNS_DIRECTORY, { recursive: true });
    const path = join(NETNS_DIRECTORY, `${this.#prefix}-${name}`);
    await this.#kernel.createNetns(path);
    this.#paths.push(path);
    const handle = this.#kernel.openNetns(path);
    try {
      const host = { name, path, handle, namespace: await this.#kernel.enter(handle) };
      this.#hosts.push(host);
      return host;
    } catch (error) {
      handle.close();
      throw error;
    }
  }

  /** A veth between two hosts, both ends up. */
  async cable(a: CableEnd, b: CableEnd): Promise<{ readonly a: number; readonly b: number }> {
    const { ifindex, peerIfindex } = await a.host.namespace.createLink({
      kind: "veth",
      name: a.interface,
      up: true,
      ...(a.mtu === undefined ? {} : { mtu: a.mtu }),
      peer: { name: b.interface, netns: b.host.handle, ...(b.mtu === undefined ? {} : { mtu: b.mtu }) },
    });
    await b.host.namespace.changeLink({ ifindex: peerIfindex }, { up: true });
    return { a: ifindex, b: peerIfindex };
  }

  /** Removes every namespace, and with them what is in them. */
  async dispose(): Promise<void> {
    for (const host of this.#hosts.splice(0)) {
      await host.namespace.close();
      host.handle.close();
    }
    for (const path of this.#paths.splice(0)) await removeNetns(this.#kernel, path);
  }
}

export async function removeNetns(kernel: Kernel, path: string): Promise<void> {
  try {
    await kernel.removeNetns(path);
  } catch (error) {
    if (!isKernelError(error, "ENOENT")) throw error;
  }
}
