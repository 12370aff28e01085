/** Label `direction` of a drop: at the port that the frame came from, or at the one it was for (enum pw_drop, bpf/abi.h). */
import type { DropReason } from "../../datapath/drop-reasons.ts";

export type DropDirection = "in" | "out" | "both";

const directions: Readonly<Record<DropReason, DropDirection>> = {
  runt: "in",
  bad_source: "in",
  reserved_vid: "in",
  untagged: "in",
  vlan_not_allowed: "in",
  port_down: "both", // counted at either port under one number
  sticky_move: "in",
  hairpin: "in",
  egress_vlan: "out",
  isolated: "out",
  mtu: "out",
  redirect: "out",
  no_port: "out",
  no_member: "in",
  spoofed: "in",
};

export function dropDirection(reason: string): DropDirection {
  return Object.hasOwn(directions, reason) ? directions[reason as DropReason] : "in";
}
