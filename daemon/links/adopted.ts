/** A link that was taken over: its alias, and the little that the intent states. Everything else stays as it is. */
import type { Link } from "../kernel/kernel.ts";
import { isAdopted, type TargetLink } from "../model/target.ts";
import { type SettingsChange, settingsChange } from "./settings.ts";

/**
 * With the take-over a bridge is given the MAC that it has. One that nobody ever set follows the lowest of its ports'
 * (br_stp_recalculate_bridge_id), so the next workload would change the address that the host is reached by.
 */
export function adoptedChange({ alias, mtu, data }: TargetLink, observed: Link): SettingsChange | null {
  const change = settingsChange({ alias, mtu, data }, observed);
  if (change === null || observed.kind !== "bridge" || isAdopted(observed)) return change;
  const { mac } = observed;
  return { before: { ...change.before, mac }, after: { ...change.after, mac } };
}
