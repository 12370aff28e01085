/** Listens to the kernel's link and address events: what drifts is put right at once, and carriers are known. */
import type { Link, Namespace, NetlinkEvent } from "./kernel/kernel.ts";
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
  /** by name; a host has a thousand links, and each change of one is an event */
  readonly #indexes = new Map<string, number>();
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
    for (const link of await namespace.links()) this.#remember(link);
  }

  hasCarrier(name: string): boolean {
    const ifindex = this.#indexes.get(name);
    return ifindex !== undefined && this.#carriers.get(ifindex)?.carrier === true;
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
    const wanted = {
      target: last.compiled.target,
      intent: reconciler.intent,
      portOf: (name: string) => reconciler.portOf(name),
      isUplink: (ifindex: number) => this.#isUplink(ifindex),
      indexOf: (name: string) => this.#indexes.get(name),
      unfinished: last.failures.length > 0,
    };
    if (events.some((event) => disturbs(event, wanted))) this.ask("drift");
  }

  #noteCarrier(event: NetlinkEvent): void {
    const { meters, onLink } = this.#options;
    if (event.type === "link-gone") {
      this.#forget(event.ifindex);
    } else if (event.type === "link") {
      const before = this.#carriers.get(event.link.ifindex);
      this.#remember(event.link);
      const { name, carrier } = event.link;
      if (!before || before.carrier === carrier) return;
      meters.countLinkFlap(name);
      onLink(carrier ? "link-up" : "link-down", name);
    }
  }

  #remember({ ifindex, name, carrier }: Pick<Link, "ifindex" | "name" | "carrier">): void {
    this.#forget(ifindex);
    this.#carriers.set(ifindex, { name, carrier });
    this.#indexes.set(name, ifindex);
  }

  #forget(ifindex: number): void {
    const name = this.#carriers.get(ifindex)?.name;
    this.#carriers.delete(ifindex);
    if (name !== undefined && this.#indexes.get(name) === ifindex) this.#indexes.delete(name);
  }

  #isUplink(ifindex: number): boolean {
    const name = this.#carriers.get(ifindex)?.name;
    const contexts = this.#options.reconciler.last?.compiled.contexts.values() ?? [];
    return name !== undefined && [...contexts].some(({ uplink }) => uplink === name);
  }
}
