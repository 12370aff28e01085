/** A switch port as wanted or as found, whatever datapath carries it out. Pure. */
import { VlanSet } from "./vlan-set.ts";

export type PortKind = "veth" | "nic" | "tap" | "host";

/** Who carries its frames: the switch in BPF, or the kernel's bridge with VLAN filtering. */
export type DatapathKind = "ebpf" | "bridge";

export interface PortConfig {
  readonly datapath: DatapathKind;
  readonly kind: PortKind;
  /** 0..15: the switch (cluster network) that the port belongs to */
  readonly switchId: number;
  /** VLAN of untagged frames that come in; 0: they are dropped */
  readonly pvid: number;
  /** VLANs that may come in and go out */
  readonly allowed: VlanSet;
  /** of those, the ones that leave untagged */
  readonly untagged: VlanSet;
  readonly mtu: number;
  readonly uplink: boolean;
  readonly isolated: boolean;
  readonly learn: boolean;
  /** receives unknown unicast */
  readonly flood: boolean;
  /** the veth's peer lives in another namespace: deliver straight into it */
  readonly peer: boolean;
  /** 0: no limit */
  readonly fdbLimit: number;
  /** false: no frame passes, in or out, and nothing is learned */
  readonly open: boolean;
  /** frames for an address that is on the port itself, and flooded ones, go back out of it */
  readonly hairpin: boolean;
  /** the only source address that frames may come in with; "": any */
  readonly sourceMac: string;
}

/** A port that nothing special is asked of. */
export const UNRESTRICTED = {
  isolated: false,
  learn: true,
  flood: true,
  fdbLimit: 0,
  open: true,
  hairpin: false,
  sourceMac: "",
} as const satisfies Partial<PortConfig>;

export function samePort(a: PortConfig, b: PortConfig): boolean {
  return (
    a.datapath === b.datapath &&
    a.kind === b.kind &&
    a.switchId === b.switchId &&
    a.pvid === b.pvid &&
    a.mtu === b.mtu &&
    a.uplink === b.uplink &&
    a.isolated === b.isolated &&
    a.learn === b.learn &&
    a.flood === b.flood &&
    a.peer === b.peer &&
    a.fdbLimit === b.fdbLimit &&
    a.open === b.open &&
    a.hairpin === b.hairpin &&
    a.sourceMac === b.sourceMac &&
    a.allowed.equals(b.allowed) &&
    a.untagged.equals(b.untagged)
  );
}

/** default_pvid of the kernel's bridge, unless somebody changes it (br_vlan_init, net/bridge/br_vlan.c) */
export const DEFAULT_VLAN = 1;

/** Frames of VLAN 1 leave the port as well, untagged: what the kernel's bridge leaves on a port that gets another PVID. */
interface KeepsDefault {
  readonly defaultVlan?: true;
}

/** What a workload asked for: which VLANs, in which form. */
export type PortVlans =
  | ({ readonly mode: "access"; readonly vlan: number } & KeepsDefault)
  /** the native VLAN of the cluster network's uplink, untagged */
  | { readonly mode: "untagged" }
  /** tagged VLANs, and one that travels untagged if native is not 0 */
  | ({ readonly mode: "trunk"; readonly tagged: VlanSet; readonly native: number } & KeepsDefault);

export type Membership = Pick<PortConfig, "pvid" | "allowed" | "untagged">;

/** Membership in the kernel's terms. */
export function membership(vlans: PortVlans, uplinkNativeVlan: number): Membership {
  switch (vlans.mode) {
    case "access":
      return withDefault(vlans, single(vlans.vlan));
    case "untagged":
      return single(uplinkNativeVlan);
    case "trunk": {
      const native = vlans.native === 0 ? VlanSet.empty : VlanSet.of(vlans.native);
      return withDefault(vlans, { pvid: vlans.native, allowed: vlans.tagged.union(native), untagged: native });
    }
  }
}

function withDefault({ defaultVlan }: KeepsDefault, own: Membership): Membership {
  if (defaultVlan === undefined) return own;
  const also = VlanSet.of(DEFAULT_VLAN);
  return { pvid: own.pvid, allowed: own.allowed.union(also), untagged: own.untagged.union(also) };
}

function single(vlan: number): Membership {
  const only = VlanSet.of(vlan);
  return { pvid: vlan, allowed: only, untagged: only };
}
