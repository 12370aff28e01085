/**
 * Why a frame was dropped: the index is the number in the maps (enum pw_drop, bpf/abi.h), the text the label of
 * metrics and of the API. Pure.
 */
export const DROP_REASONS = [
  "none",
  "runt",
  "bad_source",
  "reserved_vid",
  "untagged",
  "vlan_not_allowed",
  "port_down",
  "sticky_move",
  "hairpin",
  "egress_vlan",
  "isolated",
  "mtu",
  "redirect",
  "no_port",
  "no_member",
  "spoofed",
] as const;

export type DropReason = Exclude<(typeof DROP_REASONS)[number], "none">;
