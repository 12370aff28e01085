/** Runs one piece of work at a time. Those who ask while it runs share one more run, which begins when that has ended. */
export class SharedRuns {
  readonly #work: () => Promise<void>;
  #running: Promise<void> = Promise.resolve();
  #next: Promise<void> | null = null;

  constructor(work: () => Promise<void>) {
    this.#work = work;
  }

  /** Resolves, or fails, with a run that began after this call. */
  run(): Promise<void> {
    if (this.#next !== null) return this.#next;
    const next = this.#running.then(() => {
      this.#next = null;
      return this.#work();
    });
    this.#next = next;
    this.#running = next.catch(() => undefined);
    return next;
  }
}
