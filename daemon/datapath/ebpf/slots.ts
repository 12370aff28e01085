/**
 * Counter slots: each port owns a contiguous range, one slot a VLAN. First fit over the ranges in use; the maps
 * remember the ranges (pw_port.slot_base, slot_count), so a restart rebuilds this from what it finds. Pure.
 */
export interface SlotRange {
  readonly base: number;
  readonly count: number;
}

export class SlotAllocator {
  readonly #limit: number;
  /** sorted by base, never overlapping */
  readonly #used: SlotRange[] = [];

  constructor(limit: number, used: Iterable<SlotRange> = []) {
    this.#limit = limit;
    for (const range of used) this.claim(range);
  }

  /** null when no gap is large enough */
  allocate(count: number): SlotRange | null {
    let base = 0;
    let index = 0;
    for (const next of this.#used) {
      if (next.base - base >= count) break;
      base = next.base + next.count;
      index++;
    }
    if (base + count > this.#limit) return null;
    const range = { base, count };
    this.#used.splice(index, 0, range);
    return range;
  }

  /** marks a range that was found in the maps */
  claim(range: SlotRange): void {
    if (range.count === 0) return;
    const at = this.#used.findIndex((other) => other.base >= range.base);
    this.#used.splice(at < 0 ? this.#used.length : at, 0, range);
  }

  release(range: SlotRange): void {
    const at = this.#used.findIndex((other) => other.base === range.base && other.count === range.count);
    if (at >= 0) this.#used.splice(at, 1);
  }
}
