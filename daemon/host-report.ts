/** What the daemon says of the host: its status, its ports, what is wrong, computed from what is observed just then. */
import type { HostDhcp } from "./host-dhcp.ts";
import type { IntentControl } from "./intent-control.ts";
import type { PortStatus, Status } from "./model/status.ts";
import type { Condition, Observed } from "./model/target.ts";
import type { Datapath } from "./datapath/datapath.ts";
import type { Prober } from "./probe/prober.ts";
import type { Reconciler } from "./reconcile/reconciler.ts";
import { clusterNetworkStatuses, networkStatuses, portStatuses } from "./reconcile/report.ts";
import { type HostNetworkFacts, hostNetworkStatuses } from "./reconcile/report-host-networks.ts";
import type { Settings } from "./settings.ts";
import { VERSION } from "./version.ts";

export interface HostReportParts {
  readonly settings: Pick<Settings, "netns" | "datapath">;
  readonly reconciler: Reconciler;
  readonly datapath: Pick<Datapath, "rung">;
  readonly prober: Pick<Prober, "reports">;
  readonly dhcp: Pick<HostDhcp, "leases" | "conditions">;
  readonly control: Pick<IntentControl, "conditions" | "status">;
}

export interface Readiness {
  readonly ok: boolean;
  readonly reasons: readonly string[];
}

export class HostReport {
  readonly #parts: HostReportParts;
  readonly #startedAt = new Date().toISOString();
  #observing: Promise<Observed> | null = null;

  constructor(parts: HostReportParts) {
    this.#parts = parts;
  }

  async ports(): Promise<readonly PortStatus[]> {
    return portStatuses(await this.facts());
  }

  /** `http`: URL of the HTTP listener; empty: none */
  async status(http: string): Promise<Status> {
    const { settings, datapath, reconciler, control } = this.#parts;
    const facts = await this.facts();
    const clusterNetworks = clusterNetworkStatuses(facts);
    return {
      version: VERSION,
      netns: settings.netns ?? "own",
      startedAt: this.#startedAt,
      http,
      datapath: { kind: settings.datapath, rung: datapath.rung.name, reason: datapath.rung.reason },
      ready: this.#readiness(facts.conditions).ok,
      configGeneration: reconciler.generation,
      clusterNetworks,
      networks: networkStatuses(facts, clusterNetworks),
      hostNetworks: hostNetworkStatuses(facts),
      conditions: facts.conditions,
      transaction: control.status(),
    };
  }

  /** Status, ports and metrics ask at the same moment in a scrape: one look serves them all. */
  async facts(): Promise<HostNetworkFacts> {
    const { reconciler, prober, dhcp } = this.#parts;
    this.#observing ??= reconciler.observe().finally(() => {
      this.#observing = null;
    });
    const observed = await this.#observing;
    return {
      intent: reconciler.intent,
      contexts: reconciler.last?.compiled.contexts ?? new Map(),
      workloads: [...reconciler.workloads.values()],
      ...observed,
      target: reconciler.last?.compiled.target ?? null,
      leases: dhcp.leases,
      probes: prober.reports(),
      conditions: this.conditions,
    };
  }

  get conditions(): readonly Condition[] {
    const { reconciler, dhcp, control } = this.#parts;
    return [...control.conditions, ...reconciler.conditions, ...dhcp.conditions(reconciler.intent)];
  }

  get readiness(): Readiness {
    return this.#readiness(this.conditions);
  }

  #readiness(conditions: readonly Condition[]): Readiness {
    if (!this.#parts.reconciler.last) return { ok: false, reasons: ["the first round is not done"] };
    // A workload that died without a DEL is the runtime's to clean up; the host serves all others.
    const own = conditions.filter(({ object }) => !object.startsWith("Attachment/"));
    const reasons = own.map(({ object, message }) => `${object}: ${message}`);
    return { ok: reasons.length === 0, reasons };
  }
}
