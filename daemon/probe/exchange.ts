/**
 * One request and its reply, with retries: the state machine that ARP and ICMP share. No I/O: time and sending are given,
 * and whoever drives it calls `advance` at `deadline` and `receive` with what arrives.
 */
import type { Frame } from "./frame.ts";

/** What is asked, and which frame answers it. */
export interface Protocol<Answer> {
  /** the frame of try 0, 1, … */
  request(attempt: number): Uint8Array;
  /** `attempt`: which try the reply names; null if the protocol cannot say */
  match(frame: Frame): { readonly answer: Answer; readonly attempt: number | null } | null;
}

export type Outcome<Answer> =
  | { readonly answered: true; readonly answer: Answer; readonly rttNs: bigint }
  | { readonly answered: false };

export interface ExchangePort {
  /** monotonic, ns */
  now(): bigint;
  send(frame: Uint8Array): void;
}

export const TRIES = 3;
const TRY_INTERVAL_NS = 1_000_000_000n;

export class Exchange<Answer> {
  readonly #protocol: Protocol<Answer>;
  readonly #port: ExchangePort;
  readonly #sentAt: bigint[] = [];
  #outcome: Outcome<Answer> | null = null;

  constructor(protocol: Protocol<Answer>, port: ExchangePort) {
    this.#protocol = protocol;
    this.#port = port;
  }

  get outcome(): Outcome<Answer> | null {
    return this.#outcome;
  }

  /** When `advance` is due; null before the start and after the end. */
  get deadline(): bigint | null {
    const last = this.#sentAt.at(-1);
    return this.#outcome || last === undefined ? null : last + TRY_INTERVAL_NS;
  }

  /** Sends the first try. */
  start(): void {
    if (this.#sentAt.length === 0) this.#try();
  }

  /** Sends the next try, or gives up after the last. Too early a call does nothing. */
  advance(): void {
    const deadline = this.deadline;
    if (deadline === null || this.#port.now() < deadline) return;
    if (this.#sentAt.length < TRIES) this.#try();
    else this.#outcome = { answered: false };
  }

  /** A reply to any try counts, its time from its own try. `arrived`: when it reached the host. */
  receive(frame: Frame, arrived: bigint): void {
    if (this.#outcome || this.#sentAt.length === 0) return;
    const reply = this.#protocol.match(frame);
    if (!reply) return;
    // A reply that does not name its try is taken for the latest that was sent before it came.
    const attempt = reply.attempt ?? this.#sentAt.findLastIndex((at) => at <= arrived);
    const sentAt = this.#sentAt[Math.max(attempt, 0)];
    if (sentAt === undefined) return; // names a try that was not sent yet
    // `arrived` comes from another clock: never let it make a time below zero.
    const rttNs = arrived >= sentAt ? arrived - sentAt : this.#port.now() - sentAt;
    this.#outcome = { answered: true, answer: reply.answer, rttNs };
  }

  #try(): void {
    const frame = this.#protocol.request(this.#sentAt.length);
    this.#sentAt.push(this.#port.now());
    this.#port.send(frame);
  }
}
