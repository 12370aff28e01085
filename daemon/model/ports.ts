/**
 * The ports of a cluster network's switch. Small functions of what they need, so that an attach computes its own port
 * and the uplink's VLANs, and not those of all others. Pure.
 */
import { type Attachment, type PortDevice, reachesWorkload, workloadMtu } from "./attachment.ts";
import { type DatapathKind, membership, type PortConfig, type PortKind, UNRESTRICTED } from "./port.ts";
import type { Network } from "./resources.ts";
import { bridgeName, hostLinkNames, probeLinkNames } from "./resources.ts";
import type { TargetPort } from "./target.ts";
import { VlanSet } from "./vlan-set.ts";

/** What ports need to know of their cluster network on this host. */
export interface SwitchContext {
  readonly clusterNetwork: string;
  readonly switchId: number;
  /** of all its ports: a switch is either in BPF or in the kernel's bridge */
  readonly datapath: DatapathKind;
  readonly mtu: number;
  readonly nativeVlan: number;
  /** link name; empty: the switch is the host's own */
  readonly uplink: string;
  /** of an adopted bridge: VLAN entries that its uplink has from others */
  readonly kept?: Pick<PortConfig, "pvid" | "allowed" | "untagged">;
}

const PORT_KINDS: Readonly<Record<PortDevice["kind"], PortKind>> = {
  veth: "veth",
  "inner-tap": "veth",
  tap: "tap",
  existing: "nic",
};

export function compilePort(
  attachment: Pick<
    Attachment,
    "id" | "device" | "hostInterface" | "network" | "vlans" | "isolated" | "fdbLimit" | "mtuAsked" | "gated" | "hairpin"
  > &
    Pick<Attachment, "spoofCheck" | "mac">,
  context: SwitchContext,
): TargetPort {
  return {
    linkName: attachment.hostInterface,
    config: {
      ...plainPort(context),
      kind: PORT_KINDS[attachment.device.kind],
      ...workloadMembership(attachment, context),
      mtu: workloadMtu(attachment, context.mtu),
      isolated: attachment.isolated,
      peer: reachesWorkload(attachment),
      // The kernel's bridge has no limit a port: compile says so where one was asked for.
      fdbLimit: context.datapath === "ebpf" ? attachment.fdbLimit : 0,
      open: !attachment.gated,
      hairpin: attachment.hairpin,
      // Of a closed port nothing passes in any case, and the kernel's bridge keeps it by its VLANs.
      sourceMac: attachment.spoofCheck && !(attachment.gated && context.datapath === "bridge") ? attachment.mac : "",
    },
    clusterNetwork: context.clusterNetwork,
    network: attachment.network,
    role: "workload",
    owner: attachment.id,
  };
}

/** The kernel's bridge opens a port whose carrier comes, so what it keeps closed is in no VLAN (bridge-port.ts). */
function workloadMembership(
  { vlans, gated }: Pick<Attachment, "vlans" | "gated">,
  { datapath, nativeVlan }: SwitchContext,
): Pick<PortConfig, "pvid" | "allowed" | "untagged"> {
  if (gated && datapath === "bridge") return { pvid: 0, allowed: VlanSet.empty, untagged: VlanSet.empty };
  return membership(vlans, nativeVlan);
}

/** Carries what is in demand on this host; the native VLAN travels untagged, if it is in demand. */
export function compileUplinkPort(demand: VlanSet, context: SwitchContext): TargetPort {
  const native = VlanSet.of(context.nativeVlan).intersection(demand);
  const { kept } = context;
  const own = { pvid: native.isEmpty ? 0 : context.nativeVlan, allowed: demand, untagged: native };
  return {
    linkName: context.uplink,
    config: {
      ...plainPort(context),
      kind: "nic",
      uplink: true,
      ...(kept === undefined ? own : { ...kept, allowed: kept.allowed.union(demand) }),
    },
    clusterNetwork: context.clusterNetwork,
    network: "",
    role: "uplink",
    owner: "",
  };
}

/** A tagged trunk of the VLANs that this host probes. */
export function compileProbePort(probed: VlanSet, context: SwitchContext): TargetPort {
  return {
    linkName: probeLinkNames(context.clusterNetwork).port,
    config: { ...plainPort(context), kind: "host", pvid: 0, allowed: probed, untagged: VlanSet.empty },
    clusterNetwork: context.clusterNetwork,
    network: "",
    role: "probe",
    owner: "",
  };
}

/** The access port by which the host itself is in a VLAN. Its other end is on this host: no delivery into a namespace. */
export function compileHostPort(vlan: number, context: SwitchContext): TargetPort {
  return {
    linkName: hostLinkNames(context.clusterNetwork, vlan).port,
    config: { ...plainPort(context), kind: "veth", ...membership({ mode: "access", vlan }, context.nativeVlan) },
    clusterNetwork: context.clusterNetwork,
    network: "",
    role: "host",
    owner: "",
  };
}

/** The bridge itself, which the host's VLAN devices are on: in their VLANs, tagged. */
export function compileBridgePort(vlans: VlanSet, context: SwitchContext): TargetPort {
  return {
    linkName: bridgeName(context.clusterNetwork),
    config: { ...plainPort(context), kind: "host", pvid: 0, allowed: vlans, untagged: VlanSet.empty },
    clusterNetwork: context.clusterNetwork,
    network: "",
    role: "host",
    owner: "",
  };
}

/** VLAN in which a network's gateway is probed; 0: it is not. */
export function probedVlan(network: Network, nativeVlan: number): number {
  if (network.route?.mode !== "manual") return 0;
  return network.type === "L2VlanNetwork" ? network.vlan : network.type === "UntaggedNetwork" ? nativeVlan : 0;
}

export function probedVlans(networks: Iterable<Network>, clusterNetwork: string, nativeVlan: number): VlanSet {
  const vids: number[] = [];
  for (const network of networks) {
    if (network.clusterNetwork !== clusterNetwork) continue;
    const vid = probedVlan(network, nativeVlan);
    if (vid !== 0) vids.push(vid);
  }
  return VlanSet.from(vids);
}

function plainPort(context: SwitchContext): Omit<PortConfig, "kind" | "pvid" | "allowed" | "untagged"> {
  return {
    datapath: context.datapath,
    switchId: context.switchId,
    mtu: context.mtu,
    uplink: false,
    peer: false,
    ...UNRESTRICTED,
  };
}
