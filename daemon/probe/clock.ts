/** Time as the probes see it: replaced in tests. */

export interface Clock {
  /** monotonic, ns */
  now(): bigint;
  /** CLOCK_REALTIME, ms */
  wallMs(): number;
  /** Calls once after `ms`; the returned function calls it off. */
  after(ms: number, run: () => void): () => void;
}

export const systemClock: Clock = {
  now: () => process.hrtime.bigint(),
  wallMs: () => Date.now(),
  after(ms, run) {
    // Timers come before input in a turn of the event loop. After a stall the answer may be waiting behind the very timer
    // that gives it up, so input gets its turn first.
    let immediate: NodeJS.Immediate | undefined;
    const timer = setTimeout(() => {
      immediate = setImmediate(run);
    }, ms);
    return () => {
      clearTimeout(timer);
      if (immediate) clearImmediate(immediate);
    };
  },
};

/**
 * When a frame arrived, on the monotonic clock, by the kernel's stamp of it (CLOCK_REALTIME): takes out the time that it
 * waited for this process. The wall clock is read in whole ms, rounded down, so that at most 1 ms of that wait stays in
 * and none is taken out too much. A stamp that makes no sense, as after a step of the clock, is ignored.
 */
export function arrivedAt(timestampNs: bigint, now: bigint, wallMs: number): bigint {
  const waited = BigInt(Math.floor(wallMs)) * 1_000_000n - timestampNs;
  return waited > 0n && waited < MAX_WAIT_NS ? now - waited : now;
}
const MAX_WAIT_NS = 10_000_000_000n;
