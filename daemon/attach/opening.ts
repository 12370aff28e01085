/**
 * The hand-over of a live migration: a port that was made closed is opened, and the network is told where its address
 * is from now on, once. What is known of the address elsewhere goes first, so that no frame takes the old way.
 */
import { PortwrightError } from "../errors.ts";
import type { Attachment } from "../model/attachment.ts";
import { announcement, reverseRequest, tagged } from "./announce.ts";
import type { AttachLog } from "./attach-log.ts";
import type { PortMaker } from "./port-maker.ts";
import type { Records } from "./records.ts";

export interface OpeningOptions {
  readonly portMaker: Pick<PortMaker, "open" | "send">;
  readonly records: Pick<Records, "get" | "putGate">;
  readonly log: Pick<AttachLog, "warn" | "error">;
  readonly onEvent?: (type: "opened", attachment: Attachment) => void;
}

/** A trunk may have thousands of VLANs: in those beyond, the workload's own frames tell where it is. */
const MAX_VLANS = 256;
/** The kernel takes them at once, switches on the way may not. */
const BATCH = 32;
const PAUSE_MS = 20;

/** The caller holds the container's lock. What is open already is left as it is, and nothing is announced. */
export async function openAttachment(
  { portMaker, records, log, onEvent }: OpeningOptions,
  id: string,
): Promise<Attachment> {
  const before = records.get(id)?.attachment;
  if (before?.state !== "ready") throw new PortwrightError("ATTACHMENT_UNKNOWN", `${id} is not attached`);
  if (!before.gated) return before;
  // On disk first: a start in the middle opens what the client was about to be told is open.
  const opened = await records.putGate(id, false);
  try {
    await portMaker.open(opened);
  } catch (error) {
    await records.putGate(id, true).catch((cause: unknown) => {
      log.error({ attachment: id, error: cause }, "that the port is still closed cannot be written");
    });
    throw error;
  }
  try {
    const frames = announcements(opened);
    for (let at = 0; at < frames.length; at += BATCH) {
      if (at > 0) await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
      await portMaker.send(opened, frames.slice(at, at + BATCH));
    }
  } catch (error) {
    // The port is open, and the workload's own frames tell the same, later.
    log.warn({ attachment: id, error }, "the workload's new place cannot be announced");
  }
  onEvent?.("opened", opened);
  return opened;
}

/**
 * The MAC in each VLAN, in the form in which the workload would send there. Its addresses are those of the interface
 * itself, so they are told where its untagged frames go: in another VLAN they may be somebody else's.
 */
export function announcements({ mac, vlans, ips }: Pick<Attachment, "mac" | "vlans" | "ips">): readonly Uint8Array[] {
  const moved = reverseRequest(mac);
  const bare = [moved, ...ips.map(({ address }) => announcement(mac, address))];
  if (vlans.mode !== "trunk") return bare;
  const others = [...vlans.tagged].filter((vid) => vid !== vlans.native).slice(0, MAX_VLANS);
  return [...(vlans.native === 0 ? [] : bare), ...others.map((vid) => tagged(moved, vid))];
}
