/**
 * The MTU of an interface in its container, changed from outside. The kernel lets a veth's peer be read by the id of its
 * namespace (IFLA_TARGET_NETNSID, Linux 4.20), but not be changed so: in RTM_NEWLINK and RTM_SETLINK that attribute means
 * where the device shall move (do_setlink). So the namespace is opened by the path of its attach, and has to be the same
 * one still; the interface is the one that the host's end says it is connected to, whatever its name is by now.
 */
import { Limiter } from "../async/limiter.ts";
import { PortwrightError } from "../errors.ts";
import type { Kernel, Link, LinkRef, Namespace, NetnsHandle, PeerRef } from "../kernel/kernel.ts";
import { isKernelError } from "../kernel/kernel-error.ts";
import { type Attachment, reachesWorkload } from "../model/attachment.ts";
import { attachmentAlias } from "../model/target.ts";
import { messageOf } from "../thrown.ts";
import type { Records } from "./records.ts";

export interface WorkloadEnds {
  /** Throws WORKLOAD_UNREACHABLE. Does nothing for an attachment that is being made or unmade. */
  setMtu(attachment: string, mtu: number): Promise<void>;
  /** The host's end is this link now: one of somebody else's comes again with another index. */
  noteIndex(attachment: string, ifindex: number): void;
}

export interface InnerTaps {
  /** the tap of device "inner-tap", before the host's end goes; harmless if it or its namespace is gone */
  removeTap(
    attachment: Pick<Attachment, "id" | "clusterNetwork" | "network" | "netnsPath" | "netns" | "hostInterface">,
  ): Promise<void>;
}

export interface ContainerEndsOptions {
  readonly records: Pick<Records, "get" | "putMtu" | "putIndex">;
  readonly kernel: Pick<Kernel, "openNetns" | "enter">;
  readonly host: Pick<Namespace, "link" | "links" | "deleteLink">;
}

/** Entering a namespace takes a thread. */
const AT_ONCE = 8;

export class ContainerEnds implements WorkloadEnds, InnerTaps {
  readonly #options: ContainerEndsOptions;
  readonly #limiter = new Limiter(AT_ONCE);

  constructor(options: ContainerEndsOptions) {
    this.#options = options;
  }

  /**
   * While the interface is changed its record says that the MTU is unknown: whoever starts after a crash, with whatever
   * intent, sets it again.
   */
  async setMtu(id: string, mtu: number): Promise<void> {
    const { records } = this.#options;
    await this.#limiter.run(async () => {
      const attachment = records.get(id)?.attachment;
      if (attachment?.state !== "ready") return;
      records.putMtu(id, 0);
      try {
        await this.#change(attachment, mtu);
      } catch (cause) {
        records.putMtu(id, attachment.mtu);
        throw new PortwrightError("WORKLOAD_UNREACHABLE", messageOf(cause), { cause });
      }
      records.putMtu(id, mtu);
    });
  }

  noteIndex(id: string, ifindex: number): void {
    this.#options.records.putIndex(id, ifindex);
  }

  /** By the id that the host's end tells, where no path leads into the namespace but somebody still holds it. */
  async removeTap(attachment: Parameters<InnerTaps["removeTap"]>[0]): Promise<void> {
    const { host } = this.#options;
    const end = await host.link({ name: attachment.hostInterface });
    try {
      await this.#inside(attachment, async (container) => {
        const tap = findTap(await container.links(), attachment);
        if (tap) await container.deleteLink({ ifindex: tap.ifindex });
      });
    } catch (error) {
      if (!(error instanceof Unreachable)) throw error;
      // Without an end of the pair there is no way at all: the tap goes with its namespace, and leads nowhere till then.
      const netnsId = end?.linkNetnsId ?? -1;
      if (netnsId < 0) return;
      const tap = findTap(await host.links(netnsId).catch(unlessGone), attachment);
      if (tap) await host.deleteLink({ ifindex: tap.ifindex, netnsId });
    }
  }

  async #change(attachment: Attachment, mtu: number): Promise<void> {
    const { hostIfindex, hostInterface } = attachment;
    if (!reachesWorkload(attachment)) return; // its one link is the host's
    const { host } = this.#options;
    const near = await host.link({ ifindex: hostIfindex });
    if (near?.name !== hostInterface) return; // it goes; the next round says so if nobody wanted that
    const far = await host.link(peerOf(near));
    const hasTap = attachment.device.kind === "inner-tap";
    if (far?.mtu === mtu && !hasTap) return;
    await this.#inside(attachment, async (container) => {
      await changePeer(container, near, far, mtu);
      if (!hasTap) return;
      const tap = findTap(await container.links(), attachment);
      if (tap === undefined) throw new Error(`the tap behind ${near.name} is not in the container any more`);
      await container.changeLink({ ifindex: tap.ifindex }, { mtu });
    });
  }

  /** Throws Unreachable if the path leads nowhere, or elsewhere by now. */
  async #inside(
    { netnsPath, netns }: Pick<Attachment, "netnsPath" | "netns">,
    work: (container: Namespace) => Promise<void>,
  ): Promise<void> {
    const { kernel } = this.#options;
    const handle = open(kernel, netnsPath);
    try {
      if (`${handle.device}` !== netns.device || `${handle.inode}` !== netns.inode)
        throw new Unreachable(`${netnsPath} is another network namespace now`);
      const container = await kernel.enter(handle);
      try {
        await work(container);
      } finally {
        await container.close();
      }
    } finally {
      handle.close();
    }
  }
}

class Unreachable extends Error {}

function open(kernel: Pick<Kernel, "openNetns">, path: string): NetnsHandle {
  try {
    return kernel.openNetns(path);
  } catch (cause) {
    throw new Unreachable(messageOf(cause), { cause });
  }
}

/** The namespace went meanwhile, and its id with it. */
function unlessGone(error: unknown): readonly never[] {
  if (isKernelError(error, "EINVAL")) return [];
  throw error;
}

/** By its alias: it may have been renamed. */
function findTap(
  links: readonly Link[],
  { id, clusterNetwork, network }: Pick<Attachment, "id" | "clusterNetwork" | "network">,
): Link | undefined {
  const alias = attachmentAlias(clusterNetwork, network, id);
  return links.find((link) => link.kind === "tun" && link.alias === alias);
}

function peerOf({ link: ifindex, linkNetnsId: netnsId }: Link): LinkRef | PeerRef {
  return netnsId < 0 ? { ifindex } : { ifindex, netnsId };
}

/** The interface may have been moved on, into a namespace where its index is another device's. */
async function changePeer(container: Namespace, near: Link, far: Link | null, mtu: number): Promise<void> {
  const link = await container.link({ ifindex: near.link });
  if (link?.kind !== "veth" || link.link !== near.ifindex || link.mac !== far?.mac)
    throw new Error(`the other end of ${near.name} is not in the container any more`);
  await container.changeLink({ ifindex: link.ifindex }, { mtu });
}
