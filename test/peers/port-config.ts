/** Ports as tests set them: all that is said of one is which VLANs it is in. */
import { type PortConfig, UNRESTRICTED } from "../../daemon/model/port.ts";
import { VlanSet } from "../../daemon/model/vlan-set.ts";

/** A workload's, with nothing special about it, in switch 0. */
export const PLAIN_PORT = {
  kind: "veth",
  datapath: "ebpf",
  switchId: 0,
  mtu: 1500,
  uplink: false,
  peer: true,
  ...UNRESTRICTED,
} as const satisfies Omit<PortConfig, "pvid" | "allowed" | "untagged">;

/** The first of `untagged` is its PVID. */
export function port(tagged: readonly number[], untagged: readonly number[] = [], switchId = 0): PortConfig {
  const vlans = { allowed: VlanSet.of(...tagged, ...untagged), untagged: VlanSet.of(...untagged) };
  return { ...PLAIN_PORT, switchId, pvid: untagged[0] ?? 0, ...vlans };
}
