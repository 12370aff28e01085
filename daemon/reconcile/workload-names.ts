/** Names that a workload's port gets by itself: a function of its id, so that a crash between two steps finds them again. Pure. */
import { hash } from "node:crypto";
import type { PortDevice } from "../model/attachment.ts";
import { formatMac } from "../model/mac.ts";

const BASE32 = "abcdefghijklmnopqrstuvwxyz234567";

/** `pw` and 13 characters of a hash: 15, the most that IFNAMSIZ allows; 65 bits, so two never meet. */
export function hostInterfaceName(attachmentId: string): string {
  let name = "pw";
  for (const octet of hash("sha256", attachmentId, "buffer").subarray(0, 13)) name += BASE32[octet & 31];
  return name;
}

/** The port's link in the host's namespace. */
export function hostInterfaceOf(attachmentId: string, device: PortDevice): string {
  const given = device.kind === "tap" || device.kind === "existing" ? device.name : "";
  return given || hostInterfaceName(attachmentId);
}

/** The veth's end behind a tap in the workload's namespace: `pi` and the hash of the host's end. */
export function innerEndName(attachmentId: string): string {
  return `pi${hostInterfaceName(attachmentId).slice(2)}`;
}

/** A unicast, locally administered MAC (IEEE 802-2014, 8.4). */
export function workloadMac(attachmentId: string): string {
  const octets = hash("sha256", `mac ${attachmentId}`, "buffer");
  octets[0] = (octets.readUInt8(0) & 0xfc) | 0x02;
  return formatMac(octets);
}
