/** Listens to the kernel's link and address events: what drifts is put right at once, and carriers are known. */
import type { Namespace, NetlinkEvent } from "./kernel/kernel.ts";
import type { Log } from "./log.ts";
import { disturbs } from "./reconcile/drift.ts";
import type { Reconciler } from "./reconcile/reconciler.ts";

export interface HostWatchOptions {
  readonly namespace: Namespace;
  readonly reconciler: Reconciler;
  readonly log: Log;
  readonly meters: { countLinkFlap(device: string): void; countOverrun(): void };
  readonly onLink: (type: "link-up" | "link-down", device: string) => void;
  readonly onRound: () => Promise<void>;
}

/** Changes come in groups: one round for what comes within this time. */
const GATHER_MS = 20;
/** The same after a round in which a step failed: its tries make events themselves. */
const RETRY_MS = 1000;

export class HostWatch {
  readonly #options: HostWatchOptions;
  readonly #carriers = new Map<number, { readonly name: string; readonly carrier: boolean }>();
  #subscription: { close(): Promise<void> } | null = null;
  #pending: NodeJS.Timeout | null = null;
  #round: Promise<void> = Promise.resolve();
  #closed = false;

  constructor(options: HostWatchOptions) {
    this.#options = options;
  }

  async start(): Promise<void> {
    const { namespace } = this.#options;
    this.#subscription = await namespace.watch((events) => this.#see(events));
    for (const { ifindex, name, carrier } of await namespace.links()) this.#carriers.set(ifindex, { name, carrier });
  }

  hasCarrier(name: string): boolean {
    for (const link of this.#carriers.values()) if (link.name === name) return link.carrier;
    return false;
  }

  /** a round, soon */
  ask(cause: string): void {
    if (this.#closed || this.#pending) return;
    const failed = (this.#options.reconciler.last?.failures.length ?? 0) > 0;
    this.#pending = setTimeout(
      () => {
        this.#pending = null;
        this.#round = this.#run(cause);
      },
      failed ? RETRY_MS : GATHER_MS,
    );
  }

  async close(): Promise<void> {
    this.#closed = true;
    if (this.#pending) clearTimeout(this.#pending);
    await this.#subscription?.close();
    await this.#round;
  }

  async #run(cause: string): Promise<void> {
    const { reconciler, log, onRound } = this.#options;
    try {
      await reconciler.reconcile(cause);
      await onRound();
    } catch (error) {
      log.error({ cause, error }, "a round failed; the next one tries again");
    }
  }

  #see(events: readonly NetlinkEvent[]): void {
    const { reconciler, meters } = this.#options;
    for (const event of events) {
      if (event.type === "overrun") {
        meters.countOverrun();
        this.#options.log.warn({}, "the kernel dropped events: looking at everything again");
      }
      this.#noteCarrier(event);
    }
    const { last } = reconciler;
    if (!last) return; // the first round is still to come
    const indexes = new Map([...this.#carriers].map(([ifindex, { name }]) => [name, ifindex]));
    const wanted = {
      target: last.compiled.target,
      intent: reconciler.intent,
      workloads: [...reconciler.workloads.values()],
      uplinks: this.#uplinks(),
      indexOf: (name: string) => indexes.get(name),
      unfinished: last.failures.length > 0,
    };
    if (events.some((event) => disturbs(event, wanted))) this.ask("drift");
  }

  #noteCarrier(event: NetlinkEvent): void {
    const { meters, onLink } = this.#options;
    if (event.type === "link-gone") {
      this.#carriers.delete(event.ifindex);
    } else if (event.type === "link") {
      const { ifindex, name, carrier } = event.link;
      const before = this.#carriers.get(ifindex);
      this.#carriers.set(ifindex, { name, carrier });
      if (!before || before.carrier === carrier) return;
      meters.countLinkFlap(name);
      onLink(carrier ? "link-up" : "link-down", name);
    }
  }

  #uplinks(): ReadonlySet<number> {
    const names = new Set([...(this.#options.reconciler.last?.compiled.contexts.values() ?? [])].map((c) => c.uplink));
    return new Set([...this.#carriers].filter(([, { name }]) => names.has(name)).map(([ifindex]) => ifindex));
  }
}
