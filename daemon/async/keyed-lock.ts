/** Runs work of one key in the order it came, work of different keys at once. */
export class KeyedLock<Key> {
  readonly #tails = new Map<Key, Promise<void>>();

  isHeld(key: Key): boolean {
    return this.#tails.has(key);
  }

  async run<T>(key: Key, work: () => Promise<T>): Promise<T> {
    const before = this.#tails.get(key);
    let release: () => void = () => {};
    const tail = new Promise<void>((resolve) => {
      release = resolve;
    });
    this.#tails.set(key, tail);
    if (before !== undefined) await before;
    try {
      return await work();
    } finally {
      if (this.#tails.get(key) === tail) this.#tails.delete(key);
      release();
    }
  }
}
