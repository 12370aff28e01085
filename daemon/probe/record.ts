/** What is known of one network's probes: the reports, as attempts add up. Pure. */
import type { ProbeKind, ProbeReport } from "../model/probe.ts";
import type { RunResult, StageResult } from "./run.ts";
import type { ProbeTarget } from "./target.ts";

export interface Change {
  readonly report: ProbeReport;
  /** success became failure or the other way, or this is the first */
  readonly turned: boolean;
}

export class ProbeRecord {
  readonly #reports = new Map<ProbeKind, ProbeReport>();

  constructor({ network, gateway, probeAddress }: ProbeTarget) {
    const kinds: readonly ProbeKind[] = probeAddress === undefined ? ["arp"] : ["arp", "icmp"];
    for (const probe of kinds) {
      this.#reports.set(probe, {
        network,
        probe,
        gateway,
        success: false,
        reason: null,
        detail: "not probed yet",
        rtt: null,
        lastAttempt: null,
        lastSuccess: null,
        attempts: 0,
        failures: 0,
      });
    }
  }

  reports(): readonly ProbeReport[] {
    return [...this.#reports.values()];
  }

  /** `time`: ISO 8601 */
  add(result: RunResult, time: string): readonly Change[] {
    const changes: Change[] = [];
    for (const [probe, before] of this.#reports) {
      const stage = result[probe];
      if (!stage) continue;
      const report = next(before, stage, time);
      this.#reports.set(probe, report);
      changes.push({ report, turned: before.attempts === 0 || before.success !== report.success });
    }
    return changes;
  }
}

function next(before: ProbeReport, stage: StageResult, time: string): ProbeReport {
  const common = { ...before, lastAttempt: time, attempts: before.attempts + 1, success: stage.success };
  return stage.success
    ? { ...common, reason: null, detail: "", rtt: Number(stage.rttNs) / 1e9, lastSuccess: time }
    : { ...common, reason: stage.reason, detail: stage.detail, rtt: null, failures: before.failures + 1 };
}
