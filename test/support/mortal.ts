/**
 * A namespace that dies: from a chosen write on nothing is answered any more, as when the process were killed there. What
 * was written before stays in the kernel.
 */
import type { Bpf } from "../../daemon/kernel/bpf.ts";
import type { Namespace } from "../../daemon/kernel/kernel.ts";

const WRITES: ReadonlySet<string> = new Set([
  ...[
    "createLink",
    "changeLink",
    "changeLinkIn",
    "deleteLink",
    "addAddress",
    "removeAddress",
    "addRoute",
    "removeRoute",
  ],
  ...["setNeighbour", "removeNeighbour", "setBridgeVlans", "removeBridgeVlans", "writeSysctl"],
  ...["replaceMasquerade", "changeMasquerade"],
  ...["pin", "unpin", "attachTcx", "attachClsact", "detachClsact", "detachLink", "updateLink"],
  ...["update", "remove", "updateMany", "removeMany"],
]);

export interface Death {
  /** the number of the write; 0: it lives on */
  readonly at: number;
  /** the write is carried out, but nobody learns of it */
  readonly moment: "before" | "after";
}

export class Mortal {
  writes = 0;
  readonly #death: Death;
  #isDead = false;
  #die: () => void = () => undefined;
  readonly died = new Promise<void>((resolve) => {
    this.#die = resolve;
  });

  constructor(death: Death) {
    this.#death = death;
  }

  /** Counts from here: what came before belongs to the start. */
  arm(): void {
    this.writes = 0;
    this.#armed = true;
  }
  #armed = false;

  namespace(real: Namespace): Namespace {
    const bpf: Bpf = this.#wrap(real.bpf, {
      // A kill may come between any two of them.
      updateEach: async (writes) => {
        for (const { map, key, value } of writes) await bpf.update(map, key, value);
      },
    });
    return this.#wrap(real, { bpf });
  }

  #wrap<T extends Namespace | Bpf>(real: T, instead: Partial<T> = {}): T {
    return new Proxy(real, {
      get: (target, name) => {
        const other = instead[name as keyof T];
        if (other !== undefined) return other;
        const value = Reflect.get(target, name, target) as unknown;
        if (typeof value !== "function") return value;
        return (...args: unknown[]) => this.#call(String(name), () => Reflect.apply(value, target, args) as unknown);
      },
    });
  }

  #call(name: string, work: () => unknown): unknown {
    if (this.#isDead) return new Promise(() => undefined);
    if (!this.#armed || !WRITES.has(name) || ++this.writes !== this.#death.at) return work();
    this.#isDead = true;
    void (async () => {
      if (this.#death.moment === "after") await work();
    })().then(this.#die, this.#die);
    return new Promise(() => undefined);
  }
}
