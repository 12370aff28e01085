/** Where metrics come from: each is asked once a scrape, all of them at the same time. */
import type { FdbCount } from "../../datapath/datapath.ts";
import type { Backend } from "../backend.ts";

export interface MetricSources extends Pick<Backend, "counters" | "ports" | "status" | "mapUse"> {
  /** Counts, not entries: a full table has 65,536 of them. Ageing reads the table anyway and may keep the counts. */
  fdbCounts(): Promise<readonly FdbCount[]>;
}

export function countFdb(entries: Iterable<{ readonly switchId: number; readonly vlan: number }>): FdbCount[] {
  const counts = new Map<number, { switchId: number; vlan: number; entries: number }>();
  for (const { switchId, vlan } of entries) {
    const domain = switchId * 4096 + vlan;
    const count = counts.get(domain);
    if (count === undefined) counts.set(domain, { switchId, vlan, entries: 1 });
    else count.entries++;
  }
  return [...counts.values()];
}
