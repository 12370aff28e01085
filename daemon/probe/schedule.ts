/**
 * When a network is probed: on a fixed grid with jitter, so that runs neither drift with their own length nor fall into
 * step over hosts. Missed slots are passed over, never made up for. Pure.
 */

export interface ScheduleOptions {
  readonly intervalMs: number;
  /** at most this part of the interval, to either side */
  readonly jitter: number;
  /** [0, 1) */
  readonly random: () => number;
}

const NS = 1_000_000;

export class Schedule {
  readonly #options: ScheduleOptions;
  readonly #origin: bigint;
  #slot = 0n;

  /** The first slot is within `spreadMs` of now. */
  constructor(now: bigint, spreadMs: number, options: ScheduleOptions) {
    this.#options = options;
    this.#origin = now + BigInt(Math.floor(options.random() * spreadMs * NS));
  }

  get first(): bigint {
    return this.#origin;
  }

  /** The time of the next slot; `now` is within the current one, or later if slots were missed. */
  next(now: bigint): bigint {
    const { intervalMs, jitter, random } = this.#options;
    const interval = BigInt(intervalMs * NS);
    // The nearest slot, so that one whose time has just passed is late rather than missed.
    const nearest = (now - this.#origin + interval / 2n) / interval;
    this.#slot = nearest > this.#slot ? nearest : this.#slot + 1n;
    const offset = BigInt(Math.floor((random() * 2 - 1) * jitter * intervalMs * NS));
    const time = this.#origin + this.#slot * interval + offset;
    return time > now ? time : now;
  }
}
