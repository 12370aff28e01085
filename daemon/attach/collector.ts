/**
 * Garbage: attachments that nobody needs any more. What a runtime says is valid stays; where it says nothing, only what
 * is verifiably gone is collected. One failure keeps nothing else from being collected.
 */
import type { Kernel, Link, LinkRef } from "../kernel/kernel.ts";
import { isKernelError } from "../kernel/kernel-error.ts";
import type { Attachment } from "../model/attachment.ts";
import { messageOf } from "../thrown.ts";
import { attachmentId } from "./attachments.ts";
import type { AttachmentRecord, Records } from "./records.ts";

export interface Collected {
  /** ids of attachments that are gone now */
  readonly removed: readonly string[];
  readonly failed: readonly { readonly id: string; readonly message: string }[];
}

/** Which records may be collected, and which of them are needed; `null`: nobody says. */
export interface Garbage {
  readonly concerns: (attachment: Attachment) => boolean;
  readonly valid: ReadonlySet<string> | null;
}

export interface CollectorHost {
  readonly records: Pick<Records, "all">;
  readonly kernel: Pick<Kernel, "openNetns">;
  readonly host: { link(ref: LinkRef): Promise<Link | null> };
  /** of the record that the id has when it is its turn; `wanted` may decline it */
  unmake(id: string, wanted: (record: AttachmentRecord) => boolean): Promise<"gone" | "none">;
}

export interface ValidAttachment {
  readonly containerId: string;
  readonly interface: string;
}

export function validIds(list: readonly ValidAttachment[]): ReadonlySet<string> {
  return new Set(list.map((one) => attachmentId(one.containerId, one.interface)));
}

/** Never rejects. */
export async function collectGarbage(host: CollectorHost, { concerns, valid }: Garbage): Promise<Collected> {
  const removed: string[] = [];
  const failed: { id: string; message: string }[] = [];
  const candidates = host.records.all().filter(({ attachment }) => concerns(attachment));
  await Promise.all(
    candidates.map(async ({ attachment }) => {
      const { id } = attachment;
      try {
        const garbage = valid === null ? await isVerifiablyGone(host, attachment) : !valid.has(id);
        if (!garbage) return;
        if ((await host.unmake(id, (record) => isSame(record.attachment, attachment))) === "gone") removed.push(id);
      } catch (error) {
        failed.push({ id, message: messageOf(error) });
      }
    }),
  );
  return { removed: removed.toSorted(), failed: failed.toSorted((a, b) => (a.id < b.id ? -1 : 1)) };
}

/** While we waited for its turn it may have been made, or made anew: who asked for the collection knew nothing of that. */
function isSame(now: Attachment, then: Attachment): boolean {
  return now.createdAt === then.createdAt && now.state === then.state;
}

/**
 * Two witnesses: the path of its attach leads to that namespace no more, and the host's end of the port is gone. The path
 * alone proves nothing, since a process may live on in a namespace without a name; nor does the port, which somebody may
 * have deleted under a container that still runs.
 */
async function isVerifiablyGone({ kernel, host }: CollectorHost, attachment: Attachment): Promise<boolean> {
  // A link of somebody else's goes and comes with its maker: its absence proves nothing.
  if (attachment.netnsPath === "" && attachment.device.kind === "existing") return false;
  if (leadsToNamespace(kernel, attachment)) return false;
  const { hostIfindex, hostInterface, device } = attachment;
  const byName = device.kind === "existing" || hostIfindex === 0;
  const link = await host.link(byName ? { name: hostInterface } : { ifindex: hostIfindex });
  return link?.name !== hostInterface;
}

function leadsToNamespace(kernel: Pick<Kernel, "openNetns">, { netnsPath, netns }: Attachment): boolean {
  try {
    const handle = kernel.openNetns(netnsPath);
    handle.close();
    return `${handle.device}` === netns.device && `${handle.inode}` === netns.inode;
  } catch (error) {
    // No such path, or something else there (EINVAL: the file of a name whose namespace was unbound). Whatever else
    // keeps us from looking says nothing of the namespace.
    if (isKernelError(error)) return !["ENOENT", "ENOTDIR", "EINVAL"].includes(error.code);
    throw error;
  }
}
