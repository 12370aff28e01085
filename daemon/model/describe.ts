/** A step in a line for people. Pure. */
import type { LinkData, LinkSettings } from "../kernel/kernel.ts";
import type { Comparable } from "../links/settings.ts";
import { addressText } from "./addresses.ts";
import { bondOptionOf, bondWord } from "./bond-options.ts";
import type { Plan, Step } from "./plan.ts";
import type { PortConfig } from "./port.ts";
import type { VlanSet } from "./vlan-set.ts";

export function describe(step: Step): string {
  const text = sentence(step);
  return step.impact === "none" ? text : `${text} [${step.impact}]`;
}

export function describePlan(plan: Plan): string {
  return plan.steps.length === 0 ? "nothing to do" : plan.steps.map(describe).join("\n");
}

function sentence(step: Step): string {
  switch (step.op) {
    case "create-link": {
      const { name, kind, peer, mtu } = step.link;
      return `create ${kind} ${peer === undefined ? name : `${name} and ${peer.name}`}, MTU ${mtu}`;
    }
    case "change-link":
      return `change ${step.name}: ${settings(step.before, step.after).join(", ")}`;
    case "delete-link":
      return `delete ${step.before?.kind ?? "link"} ${step.name}`;
    case "enslave":
      return `take ${step.name} into ${step.bond}${step.before.bond === "" ? "" : ` from ${step.before.bond}`}`;
    case "release":
      return `release ${step.name} from ${step.bond}${step.needsSuccessor ? " as soon as another member carries" : ""}`;
    case "set-port": {
      const { before, port } = step;
      if (before === null) return `add port ${port.linkName}: ${config(port.config)}`;
      const changes = portChanges(before.config, port.config);
      if (!before.attached)
        changes.unshift(
          port.config.datapath === "ebpf" ? "attach its program again" : "repair its place in the bridge",
        );
      return `change port ${port.linkName}: ${changes.join(", ")}`;
    }
    case "add-address":
      return `add address ${addressText(step.address)} to ${step.name}`;
    case "remove-address":
      return `remove address ${addressText(step.address)} from ${step.name}`;
    case "set-workload-mtu":
      return `set the MTU of workload ${step.attachment}: ${step.before === 0 ? "unknown" : step.before} -> ${step.after}`;
    case "remove-port":
      return step.linkName === ""
        ? `remove port ${step.before.portId}: its link ${step.before.ifindex} is gone`
        : `remove port ${step.linkName}`;
  }
}

function config(port: PortConfig): string {
  const parts = [
    ...(port.datapath === "bridge" ? ["kernel bridge"] : []),
    `switch ${port.switchId}`,
    port.pvid === 0 ? "no PVID" : `PVID ${port.pvid}`,
    `VLANs ${port.allowed.isEmpty ? "none" : port.allowed}`,
  ];
  if (!port.untagged.isEmpty) parts.push(`untagged ${port.untagged}`);
  parts.push(`MTU ${port.mtu}`);
  if (port.isolated) parts.push("isolated");
  if (port.fdbLimit > 0) parts.push(`at most ${port.fdbLimit} addresses`);
  if (port.hairpin) parts.push("hairpin");
  if (port.sourceMac !== "") parts.push(`from ${port.sourceMac} only`);
  if (!port.open) parts.push("closed");
  return parts.join(", ");
}

const PORT_FIELDS: readonly (readonly [keyof PortConfig, string])[] = [
  ["kind", "kind"],
  ["switchId", "switch"],
  ["pvid", "PVID"],
  ["allowed", "VLANs"],
  ["untagged", "untagged"],
  ["mtu", "MTU"],
  ["uplink", "uplink"],
  ["isolated", "isolated"],
  ["learn", "learning"],
  ["flood", "flooding"],
  ["peer", "peer delivery"],
  ["fdbLimit", "address limit"],
  ["open", "open"],
  ["hairpin", "hairpin"],
  ["sourceMac", "only source"],
];

export function portChanges(before: PortConfig, after: PortConfig): string[] {
  return PORT_FIELDS.flatMap(([field, name]) => {
    const [was, is] = [word(before[field]), word(after[field])];
    return was === is ? [] : [`${name} ${was} -> ${is}`];
  });
}

const LINK_FIELDS: Readonly<Record<string, string>> = {
  mtu: "MTU",
  mac: "MAC",
  txQueueLength: "transmit queue",
  noArp: "without ARP",
};

function settings(before: LinkSettings, after: LinkSettings): string[] {
  return Object.entries(after).flatMap(([key, value]) => {
    if (key === "data") {
      const was: LinkData = before.data ?? {};
      return Object.entries(value as LinkData).flatMap(([name, is]) => {
        const [a, b] = [valueWord(name, was[name]), valueWord(name, is)];
        return a === b ? [] : [`${name} ${a} -> ${b}`];
      });
    }
    const was = before[key as keyof Comparable] as Word;
    const [a, b] = [word(was), word(value as Word)];
    return a === b ? [] : [`${LINK_FIELDS[key] ?? key} ${a} -> ${b}`];
  });
}

/** Choices of a bond by their names; the attributes of other kinds are not in its table. */
function valueWord(attribute: string, value: LinkData[string] | undefined): string {
  return value === undefined || !(attribute === "mode" || bondOptionOf(attribute))
    ? word(value)
    : bondWord(attribute, value);
}

type Word = string | number | boolean | VlanSet | undefined;

function word(value: Word): string {
  if (value === undefined) return "unknown";
  if (value === true) return "on";
  if (value === false) return "off";
  const text = String(value);
  return text === "" ? "none" : text;
}
