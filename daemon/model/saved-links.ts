/**
 * What a plan is about to overwrite on links that it does not make. Compiling the last good intent again brings back all
 * that the intent names; what it leaves open (a NIC's transmit queue, MAC, bond options that are not given) only a note
 * taken before can bring back. Pure.
 */
import type { Link, LinkSettings } from "../kernel/kernel.ts";
import { type Comparable, settingsChange } from "../links/settings.ts";
import type { Plan } from "./plan.ts";

/** Plain data: it is kept on disk. */
export interface SavedLink {
  readonly ifindex: number;
  readonly name: string;
  readonly before: Comparable;
}

/** `up` and `promiscuous` follow from the intent alone, and an alias is ours. */
const KEPT = ["mtu", "mac", "txQueueLength", "noArp", "data"] as const satisfies readonly (keyof Comparable)[];

export function savedLinks(plan: Plan): readonly SavedLink[] {
  return plan.steps.flatMap((step): SavedLink[] => {
    if (step.op !== "change-link" || step.ifindex === 0) return [];
    const before = pick(step.before);
    return Object.keys(before).length === 0 ? [] : [{ ifindex: step.ifindex, name: step.name, before }];
  });
}

export interface Restoration {
  readonly ifindex: number;
  readonly name: string;
  readonly settings: LinkSettings;
}

/** Only what differs now. In reverse: what was changed last goes back first, so that MTUs shrink from the top. */
export function restorations(saved: readonly SavedLink[], links: readonly Link[]): readonly Restoration[] {
  const byIndex = new Map(links.map((link) => [link.ifindex, link]));
  return [...saved].reverse().flatMap(({ ifindex, name, before }): Restoration[] => {
    const link = byIndex.get(ifindex);
    const change = link && settingsChange(before, link);
    return change ? [{ ifindex, name, settings: change.after }] : [];
  });
}

function pick(settings: LinkSettings): Comparable {
  return Object.fromEntries(KEPT.flatMap((key) => (settings[key] === undefined ? [] : [[key, settings[key]]])));
}
