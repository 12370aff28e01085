/** Where metrics come from: each is asked once a scrape, all of them at the same time. */
import type { FdbCount } from "../../datapath/datapath.ts";
import type { Backend } from "../backend.ts";

export interface MetricSources extends Pick<Backend, "counters" | "ports" | "status" | "mapUse"> {
  /** Counts, not entries: a full table has 65,536 of them. Ageing reads the table anyway and may keep the counts. */
  fdbCounts(): Promise<readonly FdbCount[]>;
}
