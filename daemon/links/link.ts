/** The kinds of link behind one table: how each is created, and what is compared. */
import type { Link, LinkCreate, LinkSettings } from "../kernel/kernel.ts";
import type { TargetLink } from "../model/target.ts";
import { adoptedChange } from "./adopted.ts";
import { bondChange, createBond, memberSettings, settableBondData } from "./bond.ts";
import { borrowedSettings } from "./borrowed.ts";
import { bridgeSettings, createBridge, settableBridgeData } from "./bridge.ts";
import { nicSettings } from "./nic.ts";
import { type Comparable, observedSettings, type SettingsChange, settingsChange } from "./settings.ts";
import { createVeth, vethPeerSettings, vethSettings } from "./veth.ts";
import { createVlan, vlanSettings } from "./vlan.ts";
import { workloadSettings } from "./workload.ts";

interface KindOfLink {
  /** only attributes that differ; null: the link is right */
  readonly change: (link: TargetLink, observed: Link) => SettingsChange | null;
  /** absent: a plan does not create it */
  readonly create?: (link: TargetLink) => LinkCreate;
  readonly peer?: (link: TargetLink) => LinkSettings | undefined;
  /** IFLA_INFO_KIND that it must have; absent: any */
  readonly kernelKind?: string;
}

const kinds: Readonly<Record<TargetLink["kind"], KindOfLink>> = {
  bond: { change: bondChange, create: createBond, kernelKind: "bond" },
  bridge: { change: compared(bridgeSettings), create: createBridge, kernelKind: "bridge" },
  vlan: { change: compared(vlanSettings), create: createVlan, kernelKind: "vlan" },
  veth: { change: compared(vethSettings), create: createVeth, peer: vethPeerSettings, kernelKind: "veth" },
  nic: { change: compared(nicSettings) },
  member: { change: compared(memberSettings) },
  workload: { change: compared(workloadSettings) },
  borrowed: { change: compared(borrowedSettings) },
  adopted: { change: adoptedChange },
};

function compared(settings: (link: TargetLink) => Comparable): KindOfLink["change"] {
  return (link, observed) => settingsChange(settings(link), observed);
}

/** How a link is created; a step for it exists only for kinds that can be. */
export function linkCreate(link: TargetLink): LinkCreate {
  const create = kinds[link.kind].create;
  if (create === undefined) throw new TypeError(`a ${link.kind} is not created by a plan: ${link.name}`);
  return create(link);
}

/** What the other end of a created pair gets, once it is there. */
export function peerSettings(link: TargetLink): LinkSettings | undefined {
  return kinds[link.kind].peer?.(link);
}

export function isCreated(link: TargetLink): boolean {
  return kinds[link.kind].create !== undefined;
}

/** Can the link that is there become what is wanted, or must it be made anew? */
export function isOfKind(link: TargetLink, observed: Link): boolean {
  const wanted = kinds[link.kind].kernelKind;
  return wanted === undefined || wanted === observed.kind;
}

/** Only attributes that differ; null: the link is right. */
export function linkChange(link: TargetLink, observed: Link): SettingsChange | null {
  return kinds[link.kind].change(link, observed);
}

/**
 * A link of ours as the target that would make it again; null for a workload's, whose other end is not ours to make.
 * `other`: the other end of a veth, the lower device of a VLAN.
 */
export function asTarget(observed: Link, other: Link | undefined, clusterNetwork: string): TargetLink | null {
  const found = observedSettings(observed);
  const common = {
    ...found,
    name: observed.name,
    mac: "",
    txQueueLength: -1,
    promiscuous: false,
    clusterNetwork,
  } as const;
  if (observed.kind === "bridge") {
    return { ...common, kind: "bridge", mac: observed.mac, data: settableBridgeData(found.data) };
  }
  if (observed.kind === "bond") {
    const { promiscuous } = found;
    return { ...common, kind: "bond", mac: observed.mac, promiscuous, data: settableBondData(observed.data) };
  }
  if (other === undefined) return null;
  if (observed.kind === "vlan") {
    return { ...common, kind: "vlan", lower: other.name, data: { id: Number(found.data["id"]) } };
  }
  if (observed.kind !== "veth") return null;
  const { noArp, mac } = observedSettings(other);
  const peer = { name: other.name, mtu: other.mtu, mac: noArp ? "" : mac, noArp };
  return { ...common, kind: "veth", mac: found.noArp ? "" : observed.mac, data: {}, peer };
}
