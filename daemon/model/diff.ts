/**
 * What must be done to make what is there what should be there. Pure. The order of the steps:
 *
 * 1. NICs that leave get back what was changed for switching (first, so that a crash on the way is seen next time);
 * 2. ports go, then links of ours that nobody wants;
 * 3. links come and change, NIC before bridge before the rest, except that none gets a smaller MTU yet;
 * 4. container ends whose MTU shrinks, ports, container ends whose MTU grows;
 * 5. MTUs shrink, the other way round: nothing may send what the next one cannot carry;
 * 6. NICs come into bonds, then others leave them.
 *
 * Addresses of the host that nobody wants go with the ports, and new ones come when their links and ports are there: the
 * announcement that the kernel makes of them is then heard.
 */
import type { Link, LinkSettings } from "../kernel/kernel.ts";
import { giveBack } from "../links/borrowed.ts";
import { asTarget, isCreated, isOfKind, linkChange } from "../links/link.ts";
import { releaseNic } from "../links/nic.ts";
import { addressesToAdd, addressesToRemove, type AddressWorld } from "./addresses.ts";
import { afterReleases, type BondSteps, bondSteps, releaseAll } from "./diff-bonds.ts";
import { isBorrowed } from "./borrowed.ts";
import { linkChangeImpact, linkDeleteImpact, portChangeImpact, portRemoveImpact, workloadMtuImpact } from "./impact.ts";
import type { Plan, Step } from "./plan.ts";
import { type DatapathKind, samePort } from "./port.ts";
import {
  isAdopted,
  isOurs,
  type Observed,
  type ObservedPort,
  parseAdopted,
  parseAlias,
  type Target,
  type TargetLink,
} from "./target.ts";

export function diff(target: Target, observed: Observed): Plan {
  const world = new World(target, observed);
  const steps = [
    ...releases(world),
    ...portRemovals(world),
    ...addressesToRemove(world.addresses),
    ...linkDeletions(world),
    ...linkChanges(world, "grow"),
    ...containerEnds(world, "shrink"),
    ...portSettings(world),
    ...addressesToAdd(world.addresses),
    ...containerEnds(world, "grow"),
    ...linkChanges(world, "shrink").reverse(),
    ...[...world.bonds.values()].flatMap(({ membership }) => membership),
    ...adoptionsThatEnd(world),
    ...loansThatEnd(world),
  ];
  return { steps: afterReleases(steps) };
}

class World {
  readonly target: Target;
  readonly observed: Observed;
  readonly byName: ReadonlyMap<string, Link>;
  readonly byIndex: ReadonlyMap<number, Link>;
  /** links of ours that go, by index; some come back under the same name */
  readonly doomed: ReadonlyMap<number, Link>;
  readonly bonds: ReadonlyMap<string, BondSteps>;

  constructor(target: Target, observed: Observed) {
    this.target = target;
    this.observed = observed;
    this.byName = new Map(observed.links.map((link) => [link.name, link]));
    this.byIndex = new Map(observed.links.map((link) => [link.ifindex, link]));
    const doomed = observed.links.filter((link) => isOurs(link) && !this.#stays(link));
    this.doomed = new Map(doomed.map((link) => [link.ifindex, link]));
    const wanted = [...target.links.values()];
    const bondWorld = { links: observed.links, members: wanted.filter(({ kind }) => kind === "member") };
    const bonds = wanted.filter((link) => link.kind === "bond" && !isStranger(link, this.kept(link.name)));
    this.bonds = new Map(bonds.map((link) => [link.name, bondSteps(link, this.kept(link.name), bondWorld)]));
  }

  /** The link that stays under this name. */
  kept(name: string): Link | undefined {
    const link = this.byName.get(name);
    return link === undefined || this.doomed.has(link.ifindex) ? undefined : link;
  }

  get addresses(): AddressWorld {
    const { target, observed } = this;
    return {
      wanted: target.addresses,
      observed: observed.addresses,
      links: observed.links,
      kept: (name) => this.kept(name),
      isMade: (name) => this.kept(name) === undefined && target.links.has(name),
    };
  }

  /** The other end of a veth, if it is in this namespace. */
  peerOf(link: Link): Link | undefined {
    if (link.kind !== "veth" || link.linkNetnsId >= 0) return undefined;
    const peer = this.byIndex.get(link.link);
    return peer?.link === link.ifindex && peer.linkNetnsId < 0 ? peer : undefined;
  }

  /** A link of somebody else's in a bridge that is not ours: it stays there whatever is wanted. */
  isGuest({ config }: ObservedPort, link: Link | undefined): boolean {
    if (link === undefined || isOurs(link) || isBorrowed(link) || config.datapath !== "bridge") return false;
    const master = this.byIndex.get(link.master);
    return isAdopted(link) || (master !== undefined && !isOurs(master));
  }

  #stays(link: Link): boolean {
    const wanted = this.target.links.get(link.name);
    if (wanted === undefined || !isOfKind(wanted, link)) return false;
    if (wanted.kind === "vlan") {
      const lower = this.byName.get(wanted.lower ?? "");
      const isOnIt = lower !== undefined && link.link === lower.ifindex && link.data["id"] === wanted.data["id"];
      return isOnIt && (!isOurs(lower) || this.#stays(lower));
    }
    if (wanted.kind !== "veth") return true;
    // A pair stays whole or goes whole.
    const peer = this.peerOf(link);
    if (peer === undefined || !isOurs(peer)) return false;
    return wanted.peer?.name === peer.name || this.target.links.get(peer.name)?.peer?.name === link.name;
  }
}

function releases(world: World): Step[] {
  const { target, observed, byIndex } = world;
  return observed.ports.flatMap((port): Step[] => {
    const link = byIndex.get(port.ifindex);
    if (!port.config.uplink || link === undefined || isOurs(link) || world.isGuest(port, link)) return [];
    if (target.links.get(link.name)?.kind === "nic") return [];
    const change = releaseNic(link);
    return change === null ? [] : [changeStep(link, "released", change.before, change.after)];
  });
}

function portRemovals(world: World): Step[] {
  return world.observed.ports.flatMap((before): Step[] => {
    const link = world.byIndex.get(before.ifindex);
    const wanted = link && world.kept(link.name) === link ? world.target.ports.get(link.name) : undefined;
    if (wanted?.config.datapath === before.config.datapath) return [];
    if (wanted === undefined && world.isGuest(before, link)) return [];
    const said = parseAlias(link?.alias ?? "");
    return [
      {
        op: "remove-port",
        before,
        linkName: link?.name ?? "",
        clusterNetwork: said?.clusterNetwork ?? "",
        network: said?.network ?? "",
        impact: portRemoveImpact(before, link !== undefined),
      },
    ];
  });
}

function linkDeletions(world: World): Step[] {
  const steps: Step[] = [];
  const gone = new Set<number>();
  // What stands on another link goes first: it would go with it, and the way back makes the lower one first.
  const standing = (link: Link): number => (link.kind === "vlan" ? 0 : 1);
  for (const link of [...world.doomed.values()].sort((a, b) => standing(a) - standing(b))) {
    if (gone.has(link.ifindex)) continue;
    const peer = world.peerOf(link);
    if (peer !== undefined) gone.add(peer.ifindex);
    const other = link.kind === "vlan" ? world.byIndex.get(link.link) : peer;
    const before = asTarget(link, other, parseAlias(link.alias)?.clusterNetwork ?? "");
    const impact = linkDeleteImpact(before);
    if (link.kind === "bond") steps.push(...releaseAll(link, world.observed.links));
    steps.push({ op: "delete-link", name: link.name, ifindex: link.ifindex, before, impact });
  }
  return steps;
}

const RANK: Readonly<Record<TargetLink["kind"], number>> = {
  nic: 0,
  member: 0,
  bond: 1,
  bridge: 2,
  vlan: 3,
  veth: 3,
  workload: 4,
  borrowed: 4,
  adopted: 2,
};

/** "grow": all but smaller MTUs; "shrink": these. */
function linkChanges(world: World, phase: "grow" | "shrink"): Step[] {
  const links = [...world.target.links.values()].sort((a, b) => RANK[a.kind] - RANK[b.kind]);
  return links.flatMap((wanted): Step[] => {
    const link = world.kept(wanted.name);
    if (link === undefined) {
      const isBorn = phase === "grow" && isCreated(wanted) && !isPeerEnd(wanted);
      return isBorn ? [{ op: "create-link", link: wanted, impact: "none" }] : [];
    }
    if (isStranger(wanted, link)) return [];
    if (wanted.kind === "bond" && phase === "grow") return [...(world.bonds.get(wanted.name)?.settings ?? [])];
    if (wanted.kind === "member" && !followsNobody(wanted, link, world)) return [];
    const change = linkChange(wanted, link);
    if (change === null) return [];
    const part = (settings: LinkSettings): LinkSettings => {
      const { mtu, ...others } = settings;
      if (mtu === undefined || wanted.mtu >= link.mtu) return phase === "grow" ? settings : {};
      return phase === "grow" ? others : { mtu };
    };
    const after = part(change.after);
    if (Object.keys(after).length === 0) return [];
    return [changeStep(link, wanted.kind, part(change.before), after)];
  });
}

/** Somebody took the name since the target was compiled: the next compile says so. */
function isStranger(wanted: TargetLink, link: Link | undefined): boolean {
  if (link === undefined || wanted.kind === "nic" || wanted.kind === "member") return false;
  if (wanted.kind === "borrowed") return isOurs(link);
  return !isOurs(link) && !isAdopted(wanted);
}

/** A member gets its MTU from its bond, at once with it or when it comes in: what is left is what somebody changed. */
function followsNobody(wanted: TargetLink, link: Link, world: World): boolean {
  const bond = world.kept(wanted.master ?? "");
  return bond !== undefined && link.master === bond.ifindex && bond.mtu === wanted.mtu;
}

/** It is born with the other end. */
function isPeerEnd(link: TargetLink): boolean {
  return link.kind === "veth" && link.peer === undefined;
}

function portSettings(world: World): Step[] {
  // A port of another datapath is none: it was removed above.
  const place = (ifindex: number, datapath: DatapathKind): string => `${ifindex} ${datapath}`;
  const found = new Map(world.observed.ports.map((port) => [place(port.ifindex, port.config.datapath), port]));
  return [...world.target.ports.values()].flatMap((port): Step[] => {
    const link = world.kept(port.linkName);
    const wanted = world.target.links.get(port.linkName);
    // Its link is neither there nor made by this plan, or it is not ours.
    if (wanted === undefined || (link === undefined ? !isCreated(wanted) : isStranger(wanted, link))) return [];
    const before = (link && found.get(place(link.ifindex, port.config.datapath))) ?? null;
    if (before?.attached && samePort(before.config, port.config)) return [];
    return [{ op: "set-port", port, before, impact: portChangeImpact(before, port.config) }];
  });
}

/** Ends whose MTU is not known count as larger than what they get. */
function containerEnds(world: World, phase: "grow" | "shrink"): Step[] {
  return [...world.target.links.values()].flatMap(({ name, mtu: after, containerEnd }): Step[] => {
    const link = world.kept(name);
    if (containerEnd === undefined || link === undefined || containerEnd.mtu === after) return [];
    if (!isOurs(link) && !isBorrowed(link)) return [];
    const { attachment, mtu: before } = containerEnd;
    const shrinks = before === 0 || before > after;
    if (shrinks !== (phase === "shrink")) return [];
    const impact = workloadMtuImpact(before, after);
    return [{ op: "set-workload-mtu", name, ifindex: link.ifindex, attachment, before, after, impact }];
  });
}

/** What was taken over and is not to be any more gets the alias back that it had. Nothing else. */
function adoptionsThatEnd({ target, observed }: World): Step[] {
  return observed.links.flatMap((link): Step[] => {
    const said = parseAdopted(link.alias);
    const wanted = target.links.get(link.name);
    if (said === null || (wanted !== undefined && isAdopted(wanted))) return [];
    return [changeStep(link, "adopted", { alias: link.alias }, { alias: said.was })];
  });
}

/** What was borrowed for a workload that is gone is as it was before. */
function loansThatEnd({ target, observed }: World): Step[] {
  return observed.links.flatMap((link): Step[] => {
    const change = target.links.get(link.name)?.kind === "borrowed" ? null : giveBack(link);
    return change === null ? [] : [changeStep(link, "borrowed", change.before, change.after)];
  });
}

function changeStep(
  link: Link,
  kind: TargetLink["kind"] | "released",
  before: LinkSettings,
  after: LinkSettings,
): Step {
  const impact = linkChangeImpact(kind, after);
  return { op: "change-link", name: link.name, ifindex: link.ifindex, before, after, impact };
}
