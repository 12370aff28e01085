/**
 * What a plan is about to overwrite on links that it does not make. Compiling the last good intent again brings back all
 * that the intent names; what it leaves open (a NIC's transmit queue, MAC, bond options that are not given) only a note
 * taken before can bring back. Pure.
 */
import type { Link, LinkSettings } from "../kernel/kernel.ts";
import { bondNeed, member } from "../links/bond.ts";
import { type Comparable, observedSettings, type SettingsChange, settingsChange } from "../links/settings.ts";
import { bondSteps } from "./diff-bonds.ts";
import { linkChangeImpact } from "./impact.ts";
import type { Plan, Step } from "./plan.ts";
import { isOurs, type TargetLink } from "./target.ts";

/** Plain data: it is kept on disk. */
export interface SavedLink {
  readonly ifindex: number;
  readonly name: string;
  readonly before: Comparable;
  /** the bond that it was taken out of */
  readonly bond?: string;
}

/**
 * `up` and `promiscuous` follow from the intent alone, and an alias is ours. But a NIC on its way into a bond, which takes
 * none that is up, is in no intent until it is there.
 */
const KEPT = ["mtu", "mac", "txQueueLength", "noArp", "data"] as const satisfies readonly (keyof Comparable)[];

export function savedLinks(plan: Plan): readonly SavedLink[] {
  return plan.steps.flatMap((step): SavedLink[] => {
    if (step.op === "release" && step.ifindex > 0)
      return [{ ifindex: step.ifindex, name: step.name, before: {}, bond: step.bond }];
    if (step.op === "enslave" && step.ifindex > 0 && step.before.up && step.before.bond === "")
      return [{ ifindex: step.ifindex, name: step.name, before: { up: true } }];
    if (step.op !== "change-link" || step.ifindex === 0) return [];
    const before = pick(step.before);
    return Object.keys(before).length === 0 ? [] : [{ ifindex: step.ifindex, name: step.name, before }];
  });
}

/**
 * Only what differs now. In reverse: what was changed last goes back first, so that MTUs shrink from the top. Members
 * come last, into bonds that are as they were. A bond of ours has its mode and members by intent, one that was taken over
 * has neither.
 */
export function restorations(saved: readonly SavedLink[], links: readonly Link[]): readonly Step[] {
  const byIndex = new Map(links.map((link) => [link.ifindex, link]));
  const settings = [...saved].reverse().flatMap(({ ifindex, before }): readonly Step[] => {
    const link = byIndex.get(ifindex);
    const change = link && settingsChange(before, link);
    if (!link || !change) return [];
    return link.kind === "bond" && !isOurs(link) && bondNeed(change.after.data ?? {}) !== "nothing"
      ? bondRestoration(link, before, links)
      : [changeStep(link, change)];
  });
  const bonds = new Set(saved.flatMap(({ bond }) => bond ?? []));
  const raised = links.filter(
    (link) => bonds.has(link.name) && !isOurs(link) && !link.up && !isRaised(settings, link.name),
  );
  const members = saved.flatMap(({ ifindex, bond }): readonly Step[] => {
    const nic = byIndex.get(ifindex);
    const into = links.find((link) => link.name === bond && link.kind === "bond" && !isOurs(link));
    if (!nic || !into || nic.master === into.ifindex) return [];
    const from = links.find((one) => nic.master !== 0 && one.ifindex === nic.master)?.name ?? "";
    const { name, up } = nic;
    return [{ op: "enslave", name, ifindex, bond: into.name, before: { up, bond: from }, impact: "none" }];
  });
  return [
    ...settings,
    ...raised.map((link) => changeStep(link, { before: { up: false }, after: { up: true } })),
    ...members,
  ];
}

/** An option that the kernel does not take from a bond that works: down, members out, and back, as in a plan. */
function bondRestoration(link: Link, before: Comparable, links: readonly Link[]): readonly Step[] {
  const { up: _, ...found } = observedSettings(link);
  const wanted: TargetLink = {
    ...found,
    ...{ name: link.name, kind: "bond", up: true, mac: "", txQueueLength: -1, clusterNetwork: "" },
    ...before,
  };
  const inside = links.filter(({ master }) => master === link.ifindex);
  const members = inside.map(({ name, mtu }) => ({ ...member(name, "", mtu), master: link.name }));
  return bondSteps(wanted, link, { links, members }).settings;
}

function isRaised(steps: readonly Step[], name: string): boolean {
  return steps.some((step) => step.op === "change-link" && step.name === name && step.after.up === true);
}

function changeStep({ name, ifindex, kind }: Link, { before, after }: SettingsChange): Step {
  const impact = linkChangeImpact(kind === "bond" ? "bond" : "nic", after);
  return { op: "change-link", name, ifindex, before, after, impact };
}

function pick(settings: LinkSettings): Comparable {
  return Object.fromEntries(KEPT.flatMap((key) => (settings[key] === undefined ? [] : [[key, settings[key]]])));
}
