/** Names that a workload's port gets by itself: a function of its id, so that a crash between two steps finds them again. Pure. */
import { createHash } from "node:crypto";

const BASE32 = "abcdefghijklmnopqrstuvwxyz234567";

/** `pw` and 13 characters of a hash: 15, the most that IFNAMSIZ allows; 65 bits, so two never meet. */
export function hostInterfaceName(attachmentId: string): string {
  const hash = createHash("sha256").update(attachmentId).digest();
  let name = "pw";
  for (let i = 0; i < 13; i++) name += BASE32[(hash[i] as number) & 31];
  return name;
}

/** A unicast, locally administered MAC (IEEE 802-2014, 8.4). */
export function workloadMac(attachmentId: string): string {
  const hash = createHash("sha256").update(`mac ${attachmentId}`).digest();
  const octets = [((hash[0] as number) & 0xfc) | 0x02, ...hash.subarray(1, 6)];
  return octets.map((octet) => octet.toString(16).padStart(2, "0")).join(":");
}
