/** What the daemon does by the clock: addresses age, lost programs are missed, and at rest what could wait is done. */
import type { Datapath } from "./datapath/datapath.ts";
import type { HostWatch } from "./host-watch.ts";
import type { Log } from "./log.ts";
import type { Reconciler } from "./reconcile/reconciler.ts";

/** s that an address may stay unseen before it is forgotten, and between two looks: the Linux bridge's own figures */
const FDB_MAX_AGE = 300;
const AGEING_INTERVAL_MS = 10_000;
/** A round now and then although nothing was reported: what makes no event is seen so. */
const ROUND_INTERVAL_MS = 30_000;
/** Lost programs are not left to that: without one a port is dead. */
const HOOK_INTERVAL_MS = 900;
/** What nobody uses any more goes and ports settle when nothing came or went for so long, a few at a time: a burst of pods must not wait for it. */
const SETTLE_AFTER_MS = 5000;
const SETTLE_INTERVAL_MS = 500;
const SETTLE_AT_ONCE = 2;

export interface UpkeepOptions {
  readonly datapath: Pick<Datapath, "age" | "settle" | "unhooked">;
  readonly reconciler: Pick<Reconciler, "prune">;
  readonly watch: Pick<HostWatch, "ask">;
  readonly log: Log;
}

export class Upkeep {
  readonly #options: UpkeepOptions;
  readonly #timers: NodeJS.Timeout[] = [];
  /** when a workload last came or went, on performance's clock */
  #lastChange = 0;
  /** the change after which that was done last */
  #prunedAt = 0;
  #settling = false;

  constructor(options: UpkeepOptions) {
    this.#options = options;
  }

  start(): void {
    this.#timers.push(
      setInterval(() => void this.#age(), AGEING_INTERVAL_MS),
      setInterval(() => void this.#lookAtHooks(), HOOK_INTERVAL_MS),
      setInterval(() => this.#options.watch.ask("interval"), ROUND_INTERVAL_MS),
      setInterval(() => void this.#settle(), SETTLE_INTERVAL_MS),
    );
  }

  /** A workload comes or goes: no rest now. */
  stir(): void {
    this.#lastChange = performance.now();
  }

  stop(): void {
    for (const timer of this.#timers.splice(0)) clearInterval(timer);
  }

  /** A program that is taken off its hook makes no event. */
  async #lookAtHooks(): Promise<void> {
    const { datapath, watch, log } = this.#options;
    try {
      const ifindexes = await datapath.unhooked();
      if (ifindexes.length === 0) return;
      log.warn({ ifindexes }, "ports have lost their place in the switch");
      watch.ask("drift");
    } catch (error) {
      log.error({ error }, "looking for lost programs failed");
    }
  }

  async #settle(): Promise<void> {
    if (this.#settling || performance.now() - this.#lastChange < SETTLE_AFTER_MS) return;
    this.#settling = true;
    const { datapath, reconciler, log } = this.#options;
    try {
      if (this.#prunedAt < this.#lastChange) {
        this.#prunedAt = this.#lastChange;
        await reconciler.prune();
      }
      await datapath.settle(SETTLE_AT_ONCE);
    } catch (error) {
      log.error({ error }, "what can wait failed; the switch goes on as it is");
    } finally {
      this.#settling = false;
    }
  }

  async #age(): Promise<void> {
    try {
      await this.#options.datapath.age(FDB_MAX_AGE);
    } catch (error) {
      this.#options.log.error({ error }, "ageing failed");
    }
  }
}
