/** Status from what was observed just now, never from what was done once. Pure. */
import type { Link } from "../kernel/kernel.ts";
import type { Workload } from "../model/attachment.ts";
import type { SwitchContext } from "../model/ports.ts";
import type { ProbeReport } from "../model/probe.ts";
import { bondName, bridgeName, type Intent, probeLinkNames } from "../model/resources.ts";
import type { ClusterNetworkStatus, NetworkStatus, PortStatus } from "../model/status.ts";
import type { PortConfig } from "../model/port.ts";
import { type Condition, isHostAlias, type ObservedPort, type PortRole } from "../model/target.ts";
import { bondModeOf, memberStatuses } from "./members-report.ts";

export interface Facts {
  readonly intent: Intent;
  readonly contexts: ReadonlyMap<string, SwitchContext>;
  readonly workloads: Iterable<Workload>;
  readonly links: readonly Link[];
  readonly ports: readonly ObservedPort[];
  readonly probes: readonly ProbeReport[];
  readonly conditions: readonly Condition[];
}

export function portStatuses({ contexts, workloads, links, ports }: Facts): readonly PortStatus[] {
  const byIfindex = new Map(links.map((link) => [link.ifindex, link]));
  const byHostInterface = new Map<string, Workload>();
  for (const workload of workloads) byHostInterface.set(workload.hostInterface, workload);
  const bySwitch = new Map([...contexts.values()].map((context) => [context.switchId, context]));
  return ports.flatMap(({ ifindex, config, attached }): PortStatus[] => {
    const link = byIfindex.get(ifindex);
    if (!link) return []; // deleted a moment ago; its port goes with the next round
    const owner = byHostInterface.get(link.name);
    return [
      {
        device: link.name,
        ifindex,
        role: roleOf(config, link),
        clusterNetwork: bySwitch.get(config.switchId)?.clusterNetwork ?? "",
        network: owner?.network ?? "",
        attachment: owner?.id ?? "",
        pvid: config.pvid,
        allowed: config.allowed.toString(),
        untagged: config.untagged.toString(),
        mtu: config.mtu,
        up: link.up,
        carrier: link.carrier,
        attached,
      },
    ];
  });
}

function roleOf(config: PortConfig, { alias, kind }: Link): PortRole {
  if (config.uplink) return "uplink";
  if (isHostAlias(alias) || kind === "bridge") return "host";
  return config.kind === "host" ? "probe" : "workload";
}

export function clusterNetworkStatuses(facts: Facts): readonly ClusterNetworkStatus[] {
  const byName = new Map(facts.links.map((link) => [link.name, link]));
  const portOf = new Map(facts.ports.map((port) => [port.ifindex, port]));
  return [...facts.contexts.values()].map((context) => {
    const { clusterNetwork: name, switchId, mtu, nativeVlan, uplink } = context;
    const nic = byName.get(uplink);
    // A bridge that was taken over and does not filter has its uplink without our doing.
    const wantsUplink = facts.intent.vlanConfigs.has(name) && (context.kept === undefined || uplink !== "");
    const switched = nic !== undefined && portOf.get(nic.ifindex)?.attached === true;
    const faults = facts.conditions.some(({ object }) => object === `ClusterNetwork/${name}`);
    return {
      name,
      switchId,
      bridge: bridgeName(name),
      uplink,
      uplinkKind: uplink === "" ? "none" : uplink === bondName(name) ? "bond" : "nic",
      bondMode: bondModeOf(name, facts.links),
      members: memberStatuses(facts.intent.vlanConfigs.get(name), uplink, facts.links),
      ready: !faults && byName.has(bridgeName(name)) && (!wantsUplink || (switched && nic.up && nic.carrier)),
      mtu,
      nativeVlan,
    };
  });
}

export function networkStatuses(
  facts: Facts,
  clusterNetworks: readonly ClusterNetworkStatus[],
): readonly NetworkStatus[] {
  const counts = new Map<string, number>();
  for (const { network } of facts.workloads) counts.set(network, (counts.get(network) ?? 0) + 1);
  return [...facts.intent.networks.values()].map((network) => {
    const clusterNetwork = clusterNetworks.find(({ name }) => name === network.clusterNetwork);
    const probes = facts.probes.filter((probe) => probe.network === network.name);
    return {
      name: network.name,
      clusterNetwork: network.clusterNetwork,
      type: network.type,
      vlan: network.vlan,
      trunk: network.trunk.toString(),
      mtu: clusterNetwork?.mtu ?? 0,
      up: clusterNetwork?.ready === true && probes.every(({ success, attempts }) => success || attempts === 0),
      ports: counts.get(network.name) ?? 0,
      probes,
    };
  });
}

/** The inner end of a cluster network's probe veth, where probes are sent. */
export function probeEnd(links: readonly Link[], clusterNetwork: string): Link | undefined {
  const { inner } = probeLinkNames(clusterNetwork);
  return links.find(({ name }) => name === inner);
}
