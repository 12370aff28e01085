/** What the kernel's bridge counts, as counters of ports. Pure. */
import type { BridgeVlanStats, Link } from "../../kernel/kernel.ts";
import { groupBy } from "../../model/group-by.ts";
import type { ObservedPort } from "../../model/target.ts";
import type { FdbEntry, PortCounters, VlanCounters } from "../datapath.ts";

export interface Counted {
  readonly ports: readonly ObservedPort[];
  readonly links: readonly Link[];
  readonly stats: readonly BridgeVlanStats[];
  readonly entries: readonly FdbEntry[];
}

/**
 * The kernel does not tell drops by reason, flooded frames or moves. It counts a VLAN at each port only if the bridge
 * was born so (vlan_stats_per_port); else every port shows the sum of all, which would be wrong here: then a port of a
 * single VLAN has its link's counters, and others none.
 */
export function portCounters({ ports, links, stats, entries }: Counted): readonly PortCounters[] {
  const byIndex = new Map(links.map((link) => [link.ifindex, link]));
  const statsOf = groupBy(stats, ({ ifindex }) => ifindex);
  const learned = new Map<number, number>();
  for (const { ifindex, isStatic } of entries) if (!isStatic) learned.set(ifindex, (learned.get(ifindex) ?? 0) + 1);
  return ports.flatMap(({ ifindex, portId, config }): PortCounters[] => {
    const link = byIndex.get(ifindex);
    if (link === undefined) return [];
    const bridge = link.kind === "bridge" ? link : byIndex.get(link.master);
    const isOwn = link.kind === "bridge" || bridge?.data["vlanStatsPerPort"] === true;
    const own = isOwn ? (statsOf.get(ifindex) ?? []) : [];
    const vlans = own
      .filter(({ vid }) => config.allowed.has(vid))
      .map(({ vid, rxPackets, rxBytes, txPackets, txBytes }) => ({
        vlan: vid,
        ...{ rxPackets: BigInt(rxPackets), rxBytes: BigInt(rxBytes) },
        ...{ txPackets: BigInt(txPackets), txBytes: BigInt(txBytes) },
      }));
    return [
      {
        ifindex,
        portId,
        vlans: isOwn ? vlans : singleVlan(link, [...config.allowed]),
        drops: {},
        floodPackets: 0n,
        fdbMoves: 0n,
        fdbLimitHits: 0n,
        fdbFull: 0n,
        learned: learned.get(ifindex) ?? 0,
      },
    ];
  });
}

function singleVlan({ stats }: Link, vlans: readonly number[]): readonly VlanCounters[] {
  const [vlan] = vlans;
  if (vlan === undefined || vlans.length > 1) return [];
  return [
    {
      vlan,
      ...{ rxPackets: BigInt(stats.rxPackets), rxBytes: BigInt(stats.rxBytes) },
      ...{ txPackets: BigInt(stats.txPackets), txBytes: BigInt(stats.txBytes) },
    },
  ];
}
