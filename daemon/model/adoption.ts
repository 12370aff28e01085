/**
 * A cluster network whose bridge was there before us and is taken over as it is. Its links carry an alias that says so,
 * and that no plan takes for a licence to delete: `isOurs` is false for them. What the intent does not state is wanted
 * as it was found. Pure.
 */
import type { ErrorCode } from "../errors.ts";
import type { BridgeVlan, Link, LinkData } from "../kernel/kernel.ts";
import { observedSettings } from "../links/settings.ts";
import { settableBondData } from "../links/bond.ts";
import { isBorrowed } from "./borrowed.ts";
import { isNic } from "./nic-ref.ts";
import { DELAYS } from "./bond-options.ts";
import type { PortConfig } from "./port.ts";
import { bondName, bridgeName, type ClusterNetwork, DEFAULT_NATIVE_VLAN, type VlanConfig } from "./resources.ts";
import { adoptedAlias, isOurs, parseAdopted, PLAIN_LINK, type TargetLink } from "./target.ts";
import { VlanSet } from "./vlan-set.ts";

export interface AdoptionWorld {
  readonly clusterNetwork: ClusterNetwork;
  readonly switchId: number;
  readonly links: readonly Link[];
  /** entries of all bridges */
  readonly vlans: readonly BridgeVlan[];
  readonly vlanConfig: VlanConfig | undefined;
  /** bridges of this kernel can filter VLANs */
  readonly canFilter: boolean;
  readonly say: (code: ErrorCode, object: string, message: string) => void;
}

export interface Adoption {
  /** with the alias that says so: the bridge and its sub-interfaces */
  readonly links: readonly TargetLink[];
  /** what leads out of the bridge; null: nothing does, or it cannot be told */
  readonly uplink: Link | null;
  readonly isFiltering: boolean;
  readonly nativeVlan: number;
  readonly mtu: number;
  /** of the uplink's VLAN entries, those that are not ours to remove */
  readonly kept: Pick<PortConfig, "pvid" | "allowed" | "untagged">;
}

/** Longer lists of VLANs do not fit in an alias: then none is ever removed. */
const MAX_ALIAS = 255;

/** null: the bridge is not there, or it is ours */
export function adoption(world: AdoptionWorld): Adoption | null {
  const { clusterNetwork, links, vlans, vlanConfig } = world;
  const { name } = clusterNetwork;
  const bridge = links.find((link) => link.name === bridgeName(name));
  if (bridge === undefined || bridge.kind !== "bridge" || isOurs(bridge)) return null;
  const uplink = uplinkOf(bridge, links);
  const inside = subInterfaces(bridge, links);
  const isFiltering = filters(bridge, world);
  const entriesOf = (ifindex: number): readonly BridgeVlan[] => vlans.filter((entry) => entry.ifindex === ifindex);
  const found = entriesOf(uplink?.ifindex ?? 0);
  const before = parseAdopted(bridge.alias);
  const was = before?.was ?? bridge.alias;
  const first = VlanSet.from(found.map(({ vid }) => vid));
  const alias = bridgeAliasOf(name, world.switchId, before?.kept ?? first, was);
  const kept = parseAdopted(alias)?.kept ?? first;
  const guarded = kept.union(protectedVlans(bridge, inside, uplink, links, entriesOf));
  const stays = found.filter(({ vid }) => guarded.has(vid));
  const pvid = stays.find((entry) => entry.pvid)?.vid ?? 0;
  const stated = vlanConfig?.uplink.mtu ?? 0;
  const largest = uplink?.maxMtu ?? 0;
  const isTooLarge = largest > 0 && stated > largest;
  if (isTooLarge) {
    const message = `${uplink?.name ?? ""} carries an MTU of ${largest} at most, not ${stated}`;
    world.say("MTU_TOO_LARGE", `ClusterNetwork/${name}`, message);
  }
  const mtu = stated === 0 || isTooLarge ? bridge.mtu : stated;
  const data: LinkData = isFiltering && clusterNetwork.vlanFiltering === true ? { vlanFiltering: true } : {};
  return {
    links: [
      { ...asFound(bridge, name), alias, mtu, data },
      ...inside.map((link) => ({ ...asFound(link, name), alias: otherAlias("vlan", name, link) })),
    ],
    uplink,
    isFiltering,
    nativeVlan: isFiltering && pvid !== 0 ? pvid : DEFAULT_NATIVE_VLAN,
    mtu,
    kept: {
      pvid,
      allowed: VlanSet.from(stays.map(({ vid }) => vid)),
      untagged: VlanSet.from(stays.flatMap(({ vid, untagged }) => (untagged ? [vid] : []))),
    },
  };
}

/** The bond that is there, with what the VlanConfig states and nothing else. */
export function adoptedBond(wanted: TargetLink, found: Link, { uplink }: VlanConfig): TargetLink {
  const { bond } = uplink;
  const stated = new Set([...bond.asked, ...(bond.modeIsGiven ? ["mode"] : []), ...(bond.primary ? ["primary"] : [])]);
  const given = Object.fromEntries(Object.entries(wanted.data).filter(([key]) => stated.has(key)));
  const isOtherMode = bond.modeIsGiven && found.data["mode"] !== wanted.data["mode"];
  // A change of mode resets some options, one of miimon stretches the delays: what they were is given again, as far as
  // the other mode has it.
  const had = pickKeys(settableBondData(found.data), isOtherMode ? Object.keys(wanted.data) : DELAYS);
  const miimon = Number(given["miimon"] ?? found.data["miimon"] ?? 0);
  const isKept = (key: string, value: unknown): boolean =>
    !isDelay(key) || (miimon > 0 && Number(value) % miimon === 0);
  const along = Object.fromEntries(Object.entries(had).filter(([key, value]) => isKept(key, value)));
  const { promiscuous } = observedSettings(found);
  const alias = otherAlias("bond", wanted.clusterNetwork, found);
  return { ...wanted, alias, promiscuous, data: { ...along, ...given } };
}

/** The uplink where it is not a bond that the intent speaks of: found, and at most given what a VlanConfig states. */
export function adoptedUplink(link: Link, clusterNetwork: string, vlanConfig: VlanConfig | undefined): TargetLink {
  const { promiscuous } = observedSettings(link);
  const found: TargetLink = { ...asFound(link, clusterNetwork), kind: "nic", promiscuous };
  if (vlanConfig === undefined) return found;
  const { mtu, txQueueLength, hardwareAddress: mac } = vlanConfig.uplink;
  const isNamed = vlanConfig.uplink.nics.some((nic) => isNic(nic, link));
  if (!isNamed) return found;
  return { ...found, up: true, mtu: mtu > 0 && mtu <= link.maxMtu ? mtu : link.mtu, txQueueLength, mac };
}

function asFound(link: Link, clusterNetwork: string): TargetLink {
  const { name, up, mtu } = link;
  return { name, kind: "adopted", alias: "", up, mtu, ...PLAIN_LINK, clusterNetwork };
}

/** A bond or a NIC in the bridge. Veths, taps and tunnels are others' workloads. */
function uplinkOf(bridge: Link, links: readonly Link[]): Link | null {
  const members = links.filter(
    ({ master, alias }) => master === bridge.ifindex && !isOurs({ alias }) && !isBorrowed({ alias }),
  );
  const outward = members.filter(({ kind }) => kind === "bond" || kind === "");
  return outward.length === 1 ? (outward[0] ?? null) : null;
}

/** `<cn>-br.<vid>` that others made on the bridge */
function subInterfaces(bridge: Link, links: readonly Link[]): readonly Link[] {
  return links.filter((link) => link.kind === "vlan" && link.link === bridge.ifindex && !isOurs(link));
}

function protectedVlans(
  bridge: Link,
  inside: readonly Link[],
  uplink: Link | null,
  links: readonly Link[],
  entriesOf: (ifindex: number) => readonly BridgeVlan[],
): VlanSet {
  const isGuest = (l: Link): boolean => !isOurs(l) && !isBorrowed(l) && l.ifindex !== uplink?.ifindex;
  const guests = links.filter((l) => l.master === bridge.ifindex && isGuest(l));
  const vids = [bridge, ...guests].flatMap(({ ifindex }) => entriesOf(ifindex).map(({ vid }) => vid));
  return VlanSet.from([...vids, ...inside.map(({ data }) => Number(data["id"] ?? 0)).filter((vid) => vid > 0)]);
}

function filters(bridge: Link, { clusterNetwork: { name, vlanFiltering }, canFilter, say }: AdoptionWorld): boolean {
  if (bridge.data["vlanFiltering"] === true) return true;
  if (vlanFiltering !== true || canFilter) return vlanFiltering === true;
  say(
    "BRIDGE_UNFILTERED",
    `ClusterNetwork/${name}`,
    `bridges of this kernel do not filter VLANs: ${bridge.name} neither`,
  );
  return false;
}

function bridgeAliasOf(clusterNetwork: string, switchId: number, kept: VlanSet, was: string): string {
  const alias = adoptedAlias({ kind: "bridge", clusterNetwork, switchId, kept, was });
  if (alias.length <= MAX_ALIAS) return alias;
  const all = VlanSet.parse("1-4094");
  return adoptedAlias({ kind: "bridge", clusterNetwork, switchId, kept: all, was }).slice(0, MAX_ALIAS);
}

function otherAlias(kind: "bond" | "vlan", clusterNetwork: string, { alias }: Link): string {
  const was = parseAdopted(alias)?.was ?? alias;
  return adoptedAlias({ kind, clusterNetwork, switchId: null, kept: VlanSet.empty, was }).slice(0, MAX_ALIAS);
}

function isDelay(key: string): boolean {
  return (DELAYS as readonly string[]).includes(key);
}

function pickKeys(data: LinkData, keys: readonly string[]): LinkData {
  return Object.fromEntries(Object.entries(data).filter(([key]) => key !== "mode" && keys.includes(key)));
}

/** Is there, or shall there be, a bridge whose VLAN entries matter? */
export function concernsAdopted(clusterNetworks: Iterable<ClusterNetwork>, links: readonly Link[]): boolean {
  return (
    [...clusterNetworks].some(({ adopt }) => adopt === true) || links.some(({ alias }) => parseAdopted(alias) !== null)
  );
}

export function isBondOf(clusterNetwork: string, link: Link): boolean {
  return link.kind === "bond" && link.name === bondName(clusterNetwork);
}
