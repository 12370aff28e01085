/** One reading of all sources for one scrape. A source that fails takes only its own metrics with it. */
import type { MapUse, PortCounters } from "../../datapath/datapath.ts";
import type { PortStatus, Status } from "../../model/status.ts";
import type { FdbCount } from "../../datapath/datapath.ts";
import type { MetricSources } from "./sources.ts";

export interface Snapshot {
  readonly ports: readonly PortStatus[];
  readonly counters: ReadonlyMap<number, PortCounters>;
  readonly status: Status | null;
  readonly fdb: readonly FdbCount[];
  readonly maps: readonly MapUse[];
  /** false: ports or counters could not be read, so that a port that is missing here may still exist */
  readonly complete: boolean;
  /** network by cluster network and VLAN; for what is known by VLAN only, such as the uplink's traffic */
  networkOf(clusterNetwork: string, vlan: number): string;
  /** name by switch id; empty if it has gone */
  clusterNetworkOf(switchId: number): string;
}

const MAX_AGE_MS = 1_000;

export class Snapshots {
  readonly #sources: MetricSources;
  readonly #onError: (source: string, error: unknown) => void;
  #last: Snapshot | null = null;
  #lastAt = Number.NEGATIVE_INFINITY;
  #flight: Promise<Snapshot> | null = null;
  #scrapes = 0;

  constructor(sources: MetricSources, onError: (source: string, error: unknown) => void) {
    this.#sources = sources;
    this.#onError = onError;
  }

  /** What the scrape in progress has read; a fresh reading where a metric is asked for on its own. */
  async current(): Promise<Snapshot> {
    const isFresh = this.#scrapes > 0 || performance.now() - this.#lastAt < MAX_AGE_MS;
    return this.#last !== null && isFresh ? this.#last : this.#refresh();
  }

  /** Reads anew and keeps to that reading until the scrape is done, however long it takes. */
  async scrape<T>(render: (snapshot: Snapshot) => Promise<T>): Promise<T> {
    const snapshot = await this.#refresh();
    this.#scrapes++;
    try {
      return await render(snapshot);
    } finally {
      this.#scrapes--;
    }
  }

  #refresh(): Promise<Snapshot> {
    this.#flight ??= this.#read().finally(() => {
      this.#flight = null;
    });
    return this.#flight;
  }

  async #read(): Promise<Snapshot> {
    const s = this.#sources;
    const [ports, counters, status, fdb, maps] = await Promise.all([
      this.#try("ports", () => s.ports(), null),
      this.#try("counters", () => s.counters(), null),
      this.#try("status", () => s.status(), null),
      this.#try("fdb", () => s.fdbCounts(), []),
      this.#try("maps", () => s.mapUse(), []),
    ]);
    const networks = new Map<string, string>();
    for (const n of status?.networks ?? []) if (n.vlan !== 0) networks.set(`${n.clusterNetwork}/${n.vlan}`, n.name);
    for (const c of status?.clusterNetworks ?? []) {
      const untagged = status?.networks.find((n) => n.clusterNetwork === c.name && n.type === "UntaggedNetwork");
      const key = `${c.name}/${c.nativeVlan}`;
      if (untagged !== undefined && !networks.has(key)) networks.set(key, untagged.name);
    }
    const switches = new Map(status?.clusterNetworks.map((c) => [c.switchId, c.name]));
    this.#last = {
      ports: ports ?? [],
      counters: new Map(counters?.map((c) => [c.ifindex, c])),
      status,
      fdb,
      maps,
      complete: ports !== null && counters !== null,
      networkOf: (clusterNetwork, vlan) => networks.get(`${clusterNetwork}/${vlan}`) ?? "",
      clusterNetworkOf: (switchId) => switches.get(switchId) ?? "",
    };
    this.#lastAt = performance.now();
    return this.#last;
  }

  async #try<T>(source: string, read: () => Promise<T>, otherwise: T): Promise<T> {
    try {
      return await read();
    } catch (error) {
      this.#onError(source, error);
      return otherwise;
    }
  }
}
