/** How this host switches: found out and decided once, when the daemon starts. */
import type { DatapathKind } from "./port.ts";

export interface Switching {
  /** of every cluster network that is not bound to another */
  readonly datapath: DatapathKind;
  /** the kernel's bridge can filter VLANs */
  readonly vlanFiltering: boolean;
  /** the kernel has 802.1Q devices (CONFIG_VLAN_8021Q) */
  readonly vlanLinks: boolean;
  /** tells this host from all others, always the same: derived MACs are made of it */
  readonly hostKey: string;
}
