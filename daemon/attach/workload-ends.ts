/**
 * The MTU of an interface in its container, changed from outside. The kernel lets a veth's peer be read by the id of its
 * namespace (IFLA_TARGET_NETNSID, Linux 4.20), but not be changed so: in RTM_NEWLINK and RTM_SETLINK that attribute means
 * where the device shall move (do_setlink). So the namespace is opened by the path of its attach, and has to be the same
 * one still; the interface is the one that the host's end says it is connected to, whatever its name is by now.
 */
import { Limiter } from "../async/limiter.ts";
import { PortwrightError } from "../errors.ts";
import type { Kernel, Link, LinkRef, Namespace, PeerRef } from "../kernel/kernel.ts";
import type { Attachment } from "../model/attachment.ts";
import { messageOf } from "../thrown.ts";
import type { Records } from "./records.ts";

export interface WorkloadEnds {
  /** Throws WORKLOAD_UNREACHABLE. Does nothing for an attachment that is being made or unmade. */
  setMtu(attachment: string, mtu: number): Promise<void>;
}

export interface ContainerEndsOptions {
  readonly records: Pick<Records, "get" | "putMtu">;
  readonly kernel: Pick<Kernel, "openNetns" | "enter">;
  readonly host: { link(ref: LinkRef | PeerRef): Promise<Link | null> };
}

/** Entering a namespace takes a thread. */
const AT_ONCE = 8;

export class ContainerEnds implements WorkloadEnds {
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

  async #change({ hostIfindex, hostInterface, netnsPath, netns }: Attachment, mtu: number): Promise<void> {
    const { kernel, host } = this.#options;
    const near = await host.link({ ifindex: hostIfindex });
    if (near?.name !== hostInterface) return; // it goes; the next round says so if nobody wanted that
    const far = await host.link(peerOf(near));
    if (far?.mtu === mtu) return;
    const handle = kernel.openNetns(netnsPath);
    try {
      if (`${handle.device}` !== netns.device || `${handle.inode}` !== netns.inode)
        throw new Error(`${netnsPath} is another network namespace now`);
      const container = await kernel.enter(handle);
      try {
        await changePeer(container, near, far, mtu);
      } finally {
        await container.close();
      }
    } finally {
      handle.close();
    }
  }
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
