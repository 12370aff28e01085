/** What happens in the daemon, counted where it happens. Every series with known labels exists from the start, at 0. */
import { Counter, Gauge, Histogram, type Registry } from "prom-client";
import type { ProbeKind, ProbeReason } from "../../model/probe.ts";
import type { RollbackCause } from "../../model/transaction.ts";
import { type RejectReason, rejectReasons } from "../reject.ts";
import { rollbackCauses } from "../schemas/transaction.ts";
import { label, PREFIX } from "./family.ts";

const cniCommands = ["ADD", "DEL", "CHECK", "GC", "STATUS", "VERSION"] as const;
const reconcileResults = ["applied", "unchanged", "failed"] as const;
const deletedKinds = ["link", "port"] as const;

export type ReconcileResult = (typeof reconcileResults)[number];
export type DeletedKind = (typeof deletedKinds)[number];
export type ProbeResult = "success" | ProbeReason;

const probeResults: Readonly<Record<ProbeKind, readonly ProbeResult[]>> = {
  arp: ["success", "no-carrier", "no-arp-reply", "probe-error"],
  icmp: ["success", "no-carrier", "no-arp-reply", "no-icmp-reply", "probe-error"],
};

export interface Meters {
  /** `command` as it came: what is no CNI command counts as "unknown" */
  countCni(command: string, result: "success" | "error", seconds: number): void;
  countReconcile(result: ReconcileResult, seconds: number): void;
  /** `rtt` in s, null without an answer */
  countProbe(network: string, probe: ProbeKind, result: ProbeResult, rtt: number | null): void;
  countLinkFlap(device: string): void;
  countOverrun(): void;
  countRejected(reason: RejectReason): void;
  countDeleted(kind: DeletedKind): void;
  countRepairs(steps: number): void;
  countRollback(cause: RollbackCause): void;
  /** objects whose state differs from the target */
  setDrift(objects: number): void;
}

export class PromMeters implements Meters {
  readonly #cni;
  readonly #cniDuration;
  readonly #reconciles;
  readonly #reconcileDuration;
  readonly #probes;
  readonly #probeRtt;
  readonly #flaps;
  readonly #overruns;
  readonly #rejected;
  readonly #deleted;
  readonly #drift;
  readonly #repairs;
  readonly #rollbacks;
  readonly #networks = new Set<string>();
  readonly #devices = new Set<string>();

  constructor(registry: Registry) {
    const registers = [registry];
    const counter = <T extends string>(name: string, help: string, labelNames: readonly T[]) =>
      new Counter({ name: PREFIX + name, help, labelNames, registers });
    this.#cni = counter("cni_requests_total", "CNI calls", ["command", "result"]);
    this.#cniDuration = new Histogram({
      name: `${PREFIX}cni_request_duration_seconds`,
      help: "How long CNI calls took",
      labelNames: ["command"],
      buckets: [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10],
      registers,
    });
    this.#reconciles = counter("reconcile_total", "Runs that made the host as wanted", ["result"]);
    this.#reconcileDuration = new Histogram({
      name: `${PREFIX}reconcile_duration_seconds`,
      help: "How long such runs took",
      buckets: [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 30],
      registers,
    });
    this.#probes = counter("probe_attempts_total", "Probes of gateways", ["network", "probe", "result"]);
    this.#probeRtt = new Histogram({
      name: `${PREFIX}probe_rtt_seconds`,
      help: "Round-trip time of probes that were answered",
      labelNames: ["probe"],
      buckets: [0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.25, 1],
      registers,
    });
    this.#flaps = counter("link_flaps_total", "Changes of carrier seen on the device", ["device"]);
    this.#overruns = counter("netlink_overruns_total", "Times that the kernel dropped netlink events", []);
    this.#rejected = counter("api_rejected_total", "Requests turned away before any work was done", ["reason"]);
    this.#deleted = counter("gc_deleted_total", "Leftovers that were removed", ["kind"]);
    this.#drift = new Gauge({
      name: `${PREFIX}drift_objects`,
      help: "Objects whose state differs from what is wanted",
      registers,
    });
    this.#repairs = counter("drift_repairs_total", "Steps that put right what somebody else had changed", []);
    this.#rollbacks = counter("rollbacks_total", "Changes of intent that were undone", ["cause"]);
    for (const cause of rollbackCauses) this.#rollbacks.inc({ cause }, 0);
    for (const command of [...cniCommands, "unknown"]) {
      for (const result of ["success", "error"]) this.#cni.inc({ command, result }, 0);
      this.#cniDuration.zero({ command });
    }
    for (const result of reconcileResults) this.#reconciles.inc({ result }, 0);
    for (const reason of rejectReasons) this.#rejected.inc({ reason }, 0);
    for (const kind of deletedKinds) this.#deleted.inc({ kind }, 0);
    for (const probe of Object.keys(probeResults)) this.#probeRtt.zero({ probe });
  }

  countCni(command: string, result: "success" | "error", seconds: number): void {
    const known = (cniCommands as readonly string[]).includes(command) ? command : "unknown";
    this.#cni.inc({ command: known, result });
    this.#cniDuration.observe({ command: known }, seconds);
  }
  countReconcile(result: ReconcileResult, seconds: number): void {
    this.#reconciles.inc({ result });
    this.#reconcileDuration.observe(seconds);
  }
  countProbe(network: string, probe: ProbeKind, result: ProbeResult, rtt: number | null): void {
    this.#addNetwork(network);
    this.#probes.inc({ network: label(network), probe, result });
    if (rtt !== null) this.#probeRtt.observe({ probe }, rtt);
  }
  countLinkFlap(device: string): void {
    this.#addDevice(device);
    this.#flaps.inc({ device: label(device) });
  }
  countOverrun(): void {
    this.#overruns.inc();
  }
  countRejected(reason: RejectReason): void {
    this.#rejected.inc({ reason });
  }
  countDeleted(kind: DeletedKind): void {
    this.#deleted.inc({ kind });
  }
  countRepairs(steps: number): void {
    this.#repairs.inc(steps);
  }
  countRollback(cause: RollbackCause): void {
    this.#rollbacks.inc({ cause });
  }
  setDrift(objects: number): void {
    this.#drift.set(objects);
  }

  /** Gives what there is its series, and takes them from what has gone: names come and go, series must not pile up. */
  follow(networks: ReadonlySet<string>, devices: ReadonlySet<string>): void {
    for (const network of networks) this.#addNetwork(network);
    for (const device of devices) this.#addDevice(device);
    for (const network of this.#networks) {
      if (networks.has(network)) continue;
      this.#networks.delete(network);
      for (const labels of probeSeries(network)) this.#probes.remove(labels);
    }
    for (const device of this.#devices) {
      if (devices.has(device)) continue;
      this.#devices.delete(device);
      this.#flaps.remove({ device: label(device) });
    }
  }

  #addNetwork(network: string): void {
    if (this.#networks.has(network)) return;
    this.#networks.add(network);
    for (const labels of probeSeries(network)) this.#probes.inc(labels, 0);
  }
  #addDevice(device: string): void {
    if (this.#devices.has(device)) return;
    this.#devices.add(device);
    this.#flaps.inc({ device: label(device) }, 0);
  }
}

function probeSeries(network: string) {
  return Object.entries(probeResults).flatMap(([probe, results]) =>
    results.map((result) => ({ network: label(network), probe, result })),
  );
}
