/**
 * Turns ticks (jiffies64 >> PW_TICK_SHIFT, the stamp on FDB entries) into seconds. HZ is the kernel's own affair, so it
 * is measured: two readings of jiffies and time, far enough apart. Pure.
 */
export interface ClockSample {
  readonly jiffies: bigint;
  readonly timeNs: bigint;
}

export class TickClock {
  readonly #shift: bigint;
  readonly #first: ClockSample;
  #last: ClockSample;

  constructor(shift: number, first: ClockSample) {
    this.#shift = BigInt(shift);
    this.#first = first;
    this.#last = first;
  }

  observe(sample: ClockSample): void {
    this.#last = sample;
  }

  /** Jiffies a second, snapped to the rates that kernels are built with; 250 until 100 ms have been seen. */
  get hz(): number {
    const ns = this.#last.timeNs - this.#first.timeNs;
    if (ns < 100_000_000n) return 250;
    const measured = (Number(this.#last.jiffies - this.#first.jiffies) * 1e9) / Number(ns);
    return [100, 250, 300, 1000].reduce((best, hz) =>
      Math.abs(Math.log(hz / measured)) < Math.abs(Math.log(best / measured)) ? hz : best,
    );
  }

  /** how many ticks so many seconds are */
  ticks(seconds: number): number {
    return Math.ceil((seconds * this.hz) / 2 ** Number(this.#shift));
  }

  /** s since the 32-bit tick was written, as of the last sample; the tick wraps after years */
  age(tick: number): number {
    const now = Number((this.#last.jiffies >> this.#shift) & 0xffffffffn);
    const ticks = (now - tick) >>> 0;
    if (ticks > 0x80000000) return 0; // written after the sample
    return (ticks * 2 ** Number(this.#shift)) / this.hz;
  }
}
