/**
 * Steps for a bond and its members. Pure. What the kernel changes in place is changed in place. Some options want the
 * bond down, two want it without members (bond_opt_check_deps): then it is taken apart and put together again in as few
 * messages as can be; the device itself stays, and with it its index, program, VLANs and MTU.
 */
import type { Link, LinkSettings } from "../kernel/kernel.ts";
import { bondChange, bondNeed } from "../links/bond.ts";
import { linkChangeImpact } from "./impact.ts";
import type { Impact, Step } from "./plan.ts";
import type { TargetLink } from "./target.ts";

type ChangeStep = Extract<Step, { op: "change-link" }>;

export interface BondWorld {
  /** all that are there */
  readonly links: readonly Link[];
  /** wanted, of all bonds */
  readonly members: readonly TargetLink[];
}

export interface BondSteps {
  /** settings of the bond; all but a smaller MTU */
  readonly settings: readonly Step[];
  /** NICs that come and go, for the end of the plan: the port's program is on the bond by then */
  readonly membership: readonly Step[];
}

/** `link`: undefined if the plan makes the bond */
export function bondSteps(wanted: TargetLink, link: Link | undefined, world: BondWorld): BondSteps {
  const inside = world.links.filter((nic) => link !== undefined && nic.master === link.ifindex);
  const mine = world.members.filter(({ master }) => master === wanted.name);
  const stays = (nic: Link): boolean => mine.some(({ name }) => name === nic.name);
  const settings = link === undefined ? [] : settingsSteps(wanted, link, inside, stays);
  const wasEmptied = settings.some(({ op }) => op === "release");
  const leaving = wasEmptied ? [] : inside.filter((nic) => !world.members.some(({ name }) => name === nic.name));
  const membership = [
    ...mine.flatMap(({ name }) => arrival(name, wanted.name, inside, world.links)),
    ...leaving.map((nic) => release(nic, wanted.name, { up: true, needsSuccessor: mine.length > 0 })),
  ];
  return { settings, membership };
}

function settingsSteps(
  wanted: TargetLink,
  link: Link,
  inside: readonly Link[],
  stays: (nic: Link) => boolean,
): readonly Step[] {
  const change = bondChange(wanted, link);
  if (change === null) return [];
  const now = ({ mtu, ...others }: LinkSettings): LinkSettings =>
    mtu === undefined || wanted.mtu < link.mtu ? others : { ...others, mtu };
  const [before, after] = [now(change.before), now(change.after)];
  const need = bondNeed(after.data ?? {});
  if (need === "nothing") return Object.keys(after).length === 0 ? [] : [step(link, before, after)];
  const { up: _was, ...rest } = before;
  const { up: _is, ...others } = after;
  const out = need === "empty" ? inside : [];
  // Without members a bond makes up an address for itself (eth_hw_addr_random).
  const mac = out.length > 0 ? { mac: link.mac } : {};
  return [
    ...(link.up ? [step(link, { up: true }, { up: false }, "outage")] : []),
    ...out.map((nic) => release(nic, link.name, { up: !stays(nic), needsSuccessor: false })),
    step(link, { ...mac, ...rest }, { ...mac, ...others }, "outage"),
    ...out.filter(stays).map((nic) => enslave({ ...nic, up: false }, link.name, "outage")),
    step(link, { up: false }, { up: true }),
  ];
}

function arrival(name: string, bond: string, inside: readonly Link[], links: readonly Link[]): readonly Step[] {
  const nic = links.find((one) => one.name === name);
  if (nic === undefined || inside.includes(nic)) return [];
  const from = links.find((one) => nic.master !== 0 && one.ifindex === nic.master)?.name ?? "";
  return [enslave(nic, bond, from === "" ? "none" : "outage", from)];
}

/** All members of a bond that goes. */
export function releaseAll(link: Link, links: readonly Link[]): readonly Step[] {
  return links
    .filter((nic) => nic.master === link.ifindex)
    .map((nic) => release(nic, link.name, { up: true, needsSuccessor: false }));
}

/** A NIC that an earlier step releases, as its bond is taken apart or goes, is in none when its turn comes. */
export function afterReleases(steps: readonly Step[]): readonly Step[] {
  const released = new Map<string, boolean>();
  return steps.map((one) => {
    if (one.op === "release") released.set(one.name, one.up);
    const up = one.op === "enslave" ? released.get(one.name) : undefined;
    return one.op === "enslave" && up !== undefined ? { ...one, before: { up, bond: "" } } : one;
  });
}

function enslave(nic: Link, bond: string, impact: Impact, from = ""): Step {
  const { name, ifindex, up } = nic;
  return { op: "enslave", name, ifindex, bond, before: { up, bond: from }, impact };
}

function release(nic: Link, bond: string, how: { readonly up: boolean; readonly needsSuccessor: boolean }): Step {
  const impact = how.needsSuccessor ? "blip" : "outage";
  return { op: "release", name: nic.name, ifindex: nic.ifindex, bond, ...how, impact };
}

function step(link: Link, before: LinkSettings, after: LinkSettings, impact?: Impact): ChangeStep {
  const { name, ifindex } = link;
  return { op: "change-link", name, ifindex, before, after, impact: impact ?? linkChangeImpact("bond", after) };
}
