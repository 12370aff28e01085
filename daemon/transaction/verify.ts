/** Looks whether a change did what it should, and whether what worked before works still. */
import type { ProbeReport } from "../model/probe.ts";
import { messageOf } from "../thrown.ts";
import type { TransactionHost } from "./host.ts";
import type { Fault } from "./machine.ts";
import { type Baseline, failed, probeFault, silent, unsettled, worsened } from "./verdict.ts";

/** Rounds until nothing is left to do: the kernel may take one more after a link came up. */
const SETTLING_ROUNDS = 3;
const PROBE_PAUSE_MS = 200;

/** Which probes succeed now: not at some time before. */
export async function look(host: TransactionHost, seconds: number): Promise<readonly ProbeReport[]> {
  if (host.probes.length === 0) return [];
  const begun = new Date().toISOString();
  await within(host.probeNow(), seconds * 1000);
  return host.probes.map((report) => since(report, begun));
}

export interface Verification {
  readonly host: TransactionHost;
  readonly before: Baseline;
  /** that probes have */
  readonly seconds: number;
  /** nobody waits for the verdict any more */
  readonly interrupted: Promise<void>;
  readonly isInterrupted: () => boolean;
  readonly now: () => number;
}

export async function verify(verification: Verification): Promise<Fault | null> {
  const { host, before } = verification;
  try {
    let left: Fault | null = null;
    for (let round = 0; round < SETTLING_ROUNDS; round++) {
      const { plan, failures } = await host.settle();
      left = failed(failures) ?? unsettled(plan);
      if (left === null) break;
    }
    return left ?? worsened(before, host.conditions) ?? (await probe(verification));
  } catch (error) {
    return { cause: "verify", reason: messageOf(error) };
  }
}

async function probe({ host, before, seconds, interrupted, isInterrupted, now }: Verification): Promise<Fault | null> {
  if (before.answered.size === 0) return null;
  const deadline = now() + seconds * 1000;
  const begun = new Date().toISOString();
  for (;;) {
    const left = Math.max(0, deadline - now());
    await within(Promise.race([host.probeNow(), interrupted]), left);
    const reports = host.probes.map((report) => since(report, begun));
    const late = silent(before, reports);
    if (late.length === 0 || isInterrupted()) return null;
    if (now() >= deadline) return probeFault(late, seconds);
    await within(interrupted, Math.min(PROBE_PAUSE_MS, left));
  }
}

/** A report of an attempt before `begun` says nothing of now. */
function since(report: ProbeReport, begun: string): ProbeReport {
  return report.lastAttempt !== null && report.lastAttempt >= begun ? report : { ...report, success: false };
}

/** Does not wait longer; what is waited for goes on. */
async function within(work: Promise<unknown>, ms: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, ms);
  });
  try {
    await Promise.race([work, limit]);
  } finally {
    clearTimeout(timer);
  }
}
