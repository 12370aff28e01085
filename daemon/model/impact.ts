/** What traffic notices of a step. Pure. */
import type { LinkSettings } from "../kernel/kernel.ts";
import type { Impact } from "./plan.ts";
import type { PortConfig } from "./port.ts";
import type { ObservedPort, TargetLink } from "./target.ts";

export function linkChangeImpact(kind: TargetLink["kind"] | "released", after: LinkSettings): Impact {
  if (after.up === false) return "outage";
  // From then on only frames in VLANs that somebody has set pass.
  if (kind === "adopted" && after.data?.["vlanFiltering"] !== undefined) return "outage";
  // Drivers of NICs stop their queues for a moment to change either; software links do not.
  if (kind === "bridge" && after.mac !== undefined) return "blip"; // neighbours of the host learn its new address
  if ((kind === "nic" || kind === "member" || kind === "bond") && (after.mtu !== undefined || after.mac !== undefined))
    return "blip";
  return "none";
}

/** Nobody notices the probes' veth. A bridge or a host's interface may hold addresses; a workload's link, null, is its network. */
export function linkDeleteImpact(link: TargetLink | null): Impact {
  const isProbe = link?.kind === "veth" && link.noArp && link.peer?.noArp !== false;
  return isProbe ? "none" : "outage";
}

export function portChangeImpact(before: ObservedPort | null, after: PortConfig): Impact {
  // Nothing passes a port that is new, or whose program is gone: it can only get better.
  if (before === null || !before.attached) return "none";
  const was = before.config;
  if (was.switchId !== after.switchId || was.kind !== after.kind || was.peer !== after.peer) return "outage";
  if (was.pvid !== after.pvid && was.pvid !== 0 && !isUnusedNative(was, after)) return "outage";
  if (!was.untagged.isSubsetOf(after.untagged.union(lost(was, after)))) return "outage";
  if (!after.untagged.intersection(was.allowed).isSubsetOf(was.untagged)) return "outage";
  // An uplink loses VLANs when nobody on this host uses them any more.
  if (!was.uplink && !lost(was, after).isEmpty) return "outage";
  return after.mtu < was.mtu ? "blip" : "none";
}

/** What was sent before the workload learned of a smaller MTU does not arrive. */
export function workloadMtuImpact(before: number, after: number): Impact {
  return before > after ? "blip" : "none";
}

export function portRemoveImpact(port: ObservedPort, linkIsThere: boolean): Impact {
  return linkIsThere && port.attached && port.config.kind !== "host" ? "outage" : "none";
}

function lost(was: PortConfig, after: PortConfig) {
  return was.allowed.difference(after.allowed);
}

function isUnusedNative(was: PortConfig, after: PortConfig): boolean {
  return was.uplink && after.pvid === 0 && !after.allowed.has(was.pvid);
}
