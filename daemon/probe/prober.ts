/**
 * Probes every network's gateway from inside its VLAN, each on its own schedule, and keeps what came of it. The caller
 * says what to probe; nothing here changes the host.
 */
import { randomInt } from "node:crypto";
import type { ProbeKind, ProbeReport } from "../model/probe.ts";
import { type Clock, systemClock } from "./clock.ts";
import type { OpenPacketSocket } from "./port.ts";
import { ProbePorts, portKey } from "./ports.ts";
import { ProbeRecord } from "./record.ts";
import { runProbe } from "./run.ts";
import { Schedule } from "./schedule.ts";
import { type ProbeTarget, sameQuestion } from "./target.ts";

export type { OpenPacketSocket } from "./port.ts";
export type { ProbeTarget } from "./target.ts";

/** The part of a logger that is used. */
export interface ProbeLog {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
}

/** Where the figures go. Labels are bounded: network, probe kind, and "success" or the reason. */
export interface ProbeMeters {
  /** make the series, at 0 */
  added(network: string, probe: ProbeKind): void;
  attempted(report: ProbeReport): void;
  removed(network: string, probe: ProbeKind): void;
}

export interface ProberOptions {
  /** of the namespace that holds the inner ends: `Namespace.openPacketSocket` */
  readonly openSocket: OpenPacketSocket;
  readonly log: ProbeLog;
  readonly onReport?: (report: ProbeReport) => void;
  readonly meters?: ProbeMeters;
  readonly clock?: Clock;
  /** [0, 1); default from a cryptographic source, since replies are known by it */
  readonly random?: () => number;
  /** default 64 */
  readonly maxInFlight?: number;
}

const INTERVAL_MS = 15_000;
const JITTER = 0.2;
const FIRST_WITHIN_MS = 1000;
const RANDOM_RANGE = 2 ** 32;

interface Entry {
  target: ProbeTarget;
  readonly record: ProbeRecord;
  readonly schedule: Schedule;
  state: "idle" | "queued" | "running";
  /** asked for while running: run once more, for what is asked now is not answered by what began before */
  again: boolean;
  waiters: (() => void)[];
  waitersOfNext: (() => void)[];
  abort: AbortController;
  cancelTimer: () => void;
  gone: boolean;
}

export class Prober {
  readonly #options: ProberOptions;
  readonly #clock: Clock;
  readonly #random: () => number;
  readonly #entries = new Map<string, Entry>();
  readonly #queue: Entry[] = [];
  readonly #running = new Set<Promise<void>>();
  readonly #ports: ProbePorts;
  #closed = false;

  constructor(options: ProberOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#ports = new ProbePorts(options.openSocket, this.#clock);
    this.#random = options.random ?? (() => randomInt(RANDOM_RANGE) / RANDOM_RANGE);
  }

  /**
   * From now on these are probed. A network that is asked the same as before keeps its schedule and its counts, also
   * through another probe port. Of two targets with one network name the last counts.
   */
  setTargets(targets: readonly ProbeTarget[]): void {
    if (this.#closed) return;
    const wanted = new Map(targets.map((target) => [target.network, target]));
    for (const entry of [...this.#entries.values()]) {
      const target = wanted.get(entry.target.network);
      if (!target || !sameQuestion(entry.target, target)) this.#remove(entry);
    }
    const moved: Entry[] = [];
    for (const target of wanted.values()) {
      const entry = this.#entries.get(target.network);
      if (!entry) {
        this.#add(target);
        continue;
      }
      if (portKey(entry.target) !== portKey(target)) moved.push(entry);
      entry.target = target;
    }
    this.#ports.settle([...wanted.values()]);
    for (const entry of moved) this.#restart(entry);
  }

  /** By network; ARP first. */
  reports(): readonly ProbeReport[] {
    const entries = [...this.#entries.values()].sort((a, b) => (a.target.network < b.target.network ? -1 : 1));
    return entries.flatMap((entry) => entry.record.reports());
  }

  /**
   * Probes one network, or all, without regard to the schedule; resolves with the reports of probes that began after this
   * call. Networks that are taken away meanwhile are left out.
   */
  async probeNow(network?: string): Promise<readonly ProbeReport[]> {
    if (this.#closed) return [];
    const entries = [...this.#entries.values()].filter(
      (entry) => network === undefined || entry.target.network === network,
    );
    await Promise.all(
      entries.map(
        (entry) =>
          new Promise<void>((resolve) => {
            (entry.state === "running" ? entry.waitersOfNext : entry.waiters).push(resolve);
            this.#request(entry, true);
          }),
      ),
    );
    return entries.filter((entry) => !entry.gone).flatMap((entry) => entry.record.reports());
  }

  /** Ends everything: when it resolves no socket is open and nothing is called any more. The reports stay readable. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#queue.length = 0;
    for (const entry of this.#entries.values()) this.#stop(entry);
    await Promise.all(this.#running);
    await this.#ports.close();
  }

  #add(target: ProbeTarget): void {
    const now = this.#clock.now();
    const schedule = new Schedule(now, FIRST_WITHIN_MS, {
      intervalMs: INTERVAL_MS,
      jitter: JITTER,
      random: this.#random,
    });
    const entry: Entry = {
      target,
      record: new ProbeRecord(target),
      schedule,
      state: "idle",
      again: false,
      waiters: [],
      waitersOfNext: [],
      abort: new AbortController(),
      cancelTimer: () => undefined,
      gone: false,
    };
    this.#entries.set(target.network, entry);
    for (const { probe } of entry.record.reports()) this.#options.meters?.added(target.network, probe);
    this.#arm(entry, schedule.first);
  }

  #remove(entry: Entry): void {
    entry.gone = true;
    this.#entries.delete(entry.target.network);
    const queued = this.#queue.indexOf(entry);
    if (queued >= 0) this.#queue.splice(queued, 1);
    this.#stop(entry);
    for (const { probe } of entry.record.reports()) this.#options.meters?.removed(entry.target.network, probe);
  }

  #stop(entry: Entry): void {
    entry.cancelTimer();
    entry.abort.abort();
    for (const resolve of [...entry.waiters, ...entry.waitersOfNext]) resolve();
    entry.waiters = [];
    entry.waitersOfNext = [];
  }

  /** The port was replaced: what runs on the old one says nothing, and the new one is worth a look at once. */
  #restart(entry: Entry): void {
    if (entry.state === "running") {
      entry.again = true;
      entry.abort.abort();
    } else {
      this.#request(entry, true);
    }
  }

  #arm(entry: Entry, time: bigint): void {
    entry.cancelTimer = this.#clock.after(Math.ceil(Number(time - this.#clock.now()) / 1e6), () => {
      if (this.#closed || entry.gone) return;
      this.#arm(entry, entry.schedule.next(this.#clock.now()));
      this.#request(entry, false);
    });
  }

  /** A network is never twice in the queue, and a turn that comes while the last is not over is passed over. */
  #request(entry: Entry, now: boolean): void {
    if (this.#closed || entry.gone) return;
    if (entry.state === "idle") {
      entry.state = "queued";
      this.#queue.push(entry);
      this.#pump();
    } else if (entry.state === "running" && now) {
      entry.again = true;
    }
  }

  #pump(): void {
    while (this.#running.size < (this.#options.maxInFlight ?? 64)) {
      const entry = this.#queue.shift();
      if (!entry) return;
      const running = this.#run(entry).finally(() => {
        this.#running.delete(running);
        this.#pump();
      });
      this.#running.add(running);
    }
  }

  async #run(entry: Entry): Promise<void> {
    entry.state = "running";
    entry.abort = new AbortController();
    const { target } = entry;
    const result = await runProbe({
      target,
      port: this.#ports.of(target),
      clock: this.#clock,
      random: this.#random,
      signal: entry.abort.signal,
    });
    if (this.#closed || entry.gone) return;
    entry.state = "idle";
    if (result) {
      const changes = entry.record.add(result, new Date(this.#clock.wallMs()).toISOString());
      for (const { report, turned } of changes) this.#publish(report, turned);
      for (const resolve of entry.waiters) resolve();
      entry.waiters = [];
    }
    entry.waiters.push(...entry.waitersOfNext);
    entry.waitersOfNext = [];
    if (entry.again) {
      entry.again = false;
      this.#request(entry, true);
    }
  }

  /** What others do with a report must not stop the probing. */
  #publish(report: ProbeReport, turned: boolean): void {
    const { log, meters, onReport } = this.#options;
    try {
      const { network, probe, gateway, reason, detail } = report;
      if (turned && report.success) log.info({ network, probe, gateway }, "gateway answers");
      if (turned && !report.success) log.warn({ network, probe, gateway, reason, detail }, "gateway does not answer");
      meters?.attempted(report);
      onReport?.(report);
    } catch (error) {
      log.warn({ err: error }, "a consumer of probe reports failed");
    }
  }
}
