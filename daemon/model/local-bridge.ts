/**
 * A bridge that belongs to no cluster network: made when it is not there, used as it is, never removed, and never looked at by a
 * round. Pure.
 */
import type { Link, LinkData } from "../kernel/kernel.ts";
import type { Attachment, Workload } from "./attachment.ts";
import { membership, type Membership } from "./port.ts";

/** As the stock bridge plugin has it. */
export const DEFAULT_LOCAL_BRIDGE = "cni0";

/** Not the prefix by which a round knows links of ours: it would remove them. */
const ALIAS_PREFIX = "portwright-local ";

export function localAlias(bridge: string, network: string, attachmentId: string): string {
  return `${ALIAS_PREFIX}${bridge} ${network} ${attachmentId}`.slice(0, 255);
}

export function isLocal({ alias }: Pick<Link, "alias">): boolean {
  return alias.startsWith(ALIAS_PREFIX);
}

/** The name of an interface of the bridge in a VLAN, as the stock plugin has it. */
export function localGatewayName(bridge: string, vlan: number): string {
  return `${bridge}.${vlan}`;
}

/** VLAN of the port's untagged frames; 0: whatever the bridge gives its ports. */
export function localVlan({ vlans }: Pick<Workload, "vlans">): number {
  return vlans.mode === "untagged" ? 0 : membership(vlans, 0).pvid;
}

/** null: what the bridge gives its ports stays. */
export function localMembership({ vlans }: Pick<Workload, "vlans">): Membership | null {
  return vlans.mode === "untagged" ? null : membership(vlans, 0);
}

/** What the kernel is to keep of the port; nothing but what was asked for. */
export function localSettings({
  hairpin,
  isolated,
  spoofCheck,
}: Pick<Attachment, "hairpin" | "isolated" | "spoofCheck">): LinkData {
  return {
    ...(hairpin && { hairpin }),
    ...(isolated && { isolated }),
    // Frames pass only from addresses that the port's own static entries have (br_handle_frame_finish, Linux 5.18).
    ...(spoofCheck && { learning: false, locked: true }),
  };
}
