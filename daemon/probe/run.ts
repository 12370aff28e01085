/** One probe of one network: its stages in order, the first that fails ends it. */
import type { ProbeReason } from "../model/probe.ts";
import { messageOf } from "../thrown.ts";
import { arpRequest } from "./arp.ts";
import type { Clock } from "./clock.ts";
import { Exchange, type Outcome, type Protocol, TRIES } from "./exchange.ts";
import { echoRequest } from "./icmp.ts";
import type { ProbePort } from "./port.ts";
import { type ProbeTarget, targetFault } from "./target.ts";

export type StageResult =
  | { readonly success: true; readonly rttNs: bigint }
  | { readonly success: false; readonly reason: ProbeReason; readonly detail: string };

export interface RunResult {
  readonly arp: StageResult;
  /** null: not asked for */
  readonly icmp: StageResult | null;
}

export interface RunOptions {
  readonly target: ProbeTarget;
  /** null: the target's fault says why */
  readonly port: ProbePort | null;
  readonly clock: Clock;
  readonly random: () => number;
  readonly signal: AbortSignal;
}

const failed = (reason: ProbeReason, detail: string): StageResult => ({ success: false, reason, detail });

/** Null if it was called off. Never rejects. */
export async function runProbe(options: RunOptions): Promise<RunResult | null> {
  const { target, signal } = options;
  const both = (result: StageResult): RunResult => ({
    arp: result,
    icmp: target.probeAddress === undefined ? null : result,
  });
  try {
    const fault = targetFault(target);
    if (fault !== null || !options.port) return both(failed("probe-error", fault ?? "no probe port"));
    if (!target.uplinkHasCarrier()) return both(noCarrier(target));
    const port = options.port;
    await port.open();
    const seen = { received: port.received, lost: port.lost };
    const result = await exchanges({ ...options, port }, both);
    if (result && port.received === seen.received && !result.arp.success) port.doubt();
    return signal.aborted ? null : result && withLoss(result, port.lost - seen.lost);
  } catch (error) {
    return signal.aborted ? null : both(failed("probe-error", messageOf(error)));
  }
}

async function exchanges(
  options: RunOptions & { readonly port: ProbePort },
  both: (result: StageResult) => RunResult,
): Promise<RunResult | null> {
  const { target, random } = options;
  const { vlan, mac, gateway, probeAddress } = target;
  const where = vlan === 0 ? "untagged" : `in VLAN ${vlan}`;

  const arp = await exchange(arpRequest({ vlan, mac, gateway, probeAddress }), options);
  if (!arp) return null;
  if (!arp.answered) {
    if (!target.uplinkHasCarrier()) return both(noCarrier(target)); // it went while we waited
    return both(failed("no-arp-reply", `no ARP reply from ${gateway} ${where} to ${TRIES} requests`));
  }
  const arpResult: StageResult = { success: true, rttNs: arp.rttNs };
  if (probeAddress === undefined) return { arp: arpResult, icmp: null };

  const question = { vlan, mac, gatewayMac: arp.answer, gateway, probeAddress, random };
  const icmp = await exchange(echoRequest(question), options).catch((error: unknown) => String(error));
  if (icmp === null) return null;
  if (typeof icmp === "string") return { arp: arpResult, icmp: failed("probe-error", icmp) };
  if (icmp.answered) return { arp: arpResult, icmp: { success: true, rttNs: icmp.rttNs } };
  if (!target.uplinkHasCarrier()) return { arp: arpResult, icmp: noCarrier(target) };
  const detail = `${gateway} (${arp.answer}) ${where} answers ARP, but none of ${TRIES} echo requests from ${probeAddress}`;
  return { arp: arpResult, icmp: failed("no-icmp-reply", detail) };
}

function noCarrier({ clusterNetwork }: ProbeTarget): StageResult {
  return failed("no-carrier", `the uplink of ${clusterNetwork} has no carrier`);
}

/** A reply may have been among the frames that a flood pushed out: say so. */
function withLoss(result: RunResult, lost: number): RunResult {
  if (lost <= 0) return result;
  const say = <R extends StageResult | null>(stage: R): R =>
    stage && !stage.success
      ? { ...stage, detail: `${stage.detail}; ${lost} frames were dropped unread in that time` }
      : stage;
  return { arp: say(result.arp), icmp: say(result.icmp) };
}

/** Drives a state machine on a port until it ends: null if called off, rejects if a frame could not be sent. */
function exchange<Answer>(
  protocol: Protocol<Answer>,
  { port, target, clock, signal }: RunOptions & { readonly port: ProbePort },
): Promise<Outcome<Answer> | null> {
  return new Promise((resolve, reject) => {
    let cancelTimer = (): void => undefined;
    const end = (settle: () => void): void => {
      cancelTimer();
      stopListening();
      signal.removeEventListener("abort", abort);
      settle();
    };
    const abort = (): void => end(() => resolve(null));
    const machine = new Exchange(protocol, {
      now: () => clock.now(),
      send: (frame) => {
        port.send(frame).catch((error: unknown) => end(() => reject(error)));
      },
    });
    const settle = (): void => {
      const { outcome, deadline } = machine;
      if (outcome) return end(() => resolve(outcome));
      if (deadline === null) return;
      cancelTimer();
      // Timers have whole ms: round up, or the machine would be asked too early.
      cancelTimer = clock.after(Math.ceil(Number(deadline - clock.now()) / 1e6), () => {
        machine.advance();
        settle();
      });
    };
    const stopListening = port.listen(target.vlan, (frame, arrived) => {
      machine.receive(frame, arrived);
      if (machine.outcome) settle();
    });
    if (signal.aborted) return abort();
    signal.addEventListener("abort", abort);
    machine.start();
    settle();
  });
}
