/**
 * All metrics of the daemon in one prom-client Registry. A scrape reads the sources once, awaits them, and gives the
 * event loop a turn between families, so that 10,000 series never hold up a frame of the daemon's own work for long.
 */
import { setImmediate as turn } from "node:timers/promises";
import { Registry } from "prom-client";
import { type ComputedFamily, isComputed, register } from "./family.ts";
import { type Meters, PromMeters } from "./meters.ts";
import { Snapshots } from "./snapshot.ts";
import type { MetricSources } from "./sources.ts";
import { stateMetrics } from "./state.ts";
import { trafficMetrics } from "./traffic.ts";

export interface MetricsOptions {
  readonly sources: MetricSources;
  readonly version: string;
  /** a source that failed: its metrics are missing from this scrape */
  readonly onError: (source: string, error: unknown) => void;
}

export interface Metrics {
  readonly registry: Registry;
  readonly meters: Meters;
}

export function createMetrics({ sources, version, onError }: MetricsOptions): Metrics {
  const snapshots = new Snapshots(sources, onError);
  const registry = new ScrapeRegistry();
  const meters = new PromMeters(registry);
  trafficMetrics(registry, snapshots);
  stateMetrics(registry, snapshots, version);
  registry.around = (render) =>
    snapshots.scrape(({ status, ports, complete }) => {
      if (status !== null && complete) {
        meters.follow(new Set(status.networks.map((n) => n.name)), new Set(ports.map((p) => p.device)));
      }
      return render();
    });
  return { registry, meters };
}

class ScrapeRegistry extends Registry {
  around: (render: () => Promise<string>) => Promise<string> = (render) => render();
  #scrape: Promise<string> | null = null;

  /** Scrapes that come while one is under way share its answer. */
  override metrics(): Promise<string> {
    this.#scrape ??= this.around(() => this.#render()).finally(() => {
      this.#scrape = null;
    });
    return this.#scrape;
  }

  async #render(): Promise<string> {
    const families: string[] = [];
    for (const { name } of this.getMetricsAsArray()) {
      const family = this.getSingleMetric(name);
      families.push(await (isComputed(family) ? renderInParts(family) : this.getSingleMetricAsString(name)));
      await turn();
    }
    return `${families.join("\n\n")}\n`;
  }
}

const PART = 2_000;

/** prom-client formats a family in one go, about a microsecond a series; drops alone are 7,000 series with 500 ports. */
async function renderInParts(family: ComputedFamily): Promise<string> {
  const { values, ...head } = await family.get();
  const lines: string[] = [];
  for (let from = 0; from === 0 || from < values.length; from += PART) {
    const part = new Registry();
    const some = { ...head, values: values.slice(from, from + PART) };
    register(part, { ...head, get: async () => some });
    const text = await part.getSingleMetricAsString(head.name);
    // HELP and TYPE come once a family
    lines.push(from === 0 ? text : text.split("\n").slice(2).join("\n"));
    await turn();
  }
  return lines.join("\n");
}
