/** The namespace of a workload during one request: entered when somebody has to be inside, and once. */
import type { Kernel, Namespace, NetnsHandle } from "../kernel/kernel.ts";

export class WorkloadSide {
  /** the caller's, who closes it */
  readonly netns: NetnsHandle;
  readonly #kernel: Pick<Kernel, "enter">;
  #entered: Promise<Namespace> | null = null;

  constructor(kernel: Pick<Kernel, "enter">, netns: NetnsHandle) {
    this.#kernel = kernel;
    this.netns = netns;
  }

  /** Starts a thread the first time; a failure is told to whoever awaits it. */
  enter(): Promise<Namespace> {
    if (this.#entered === null) {
      this.#entered = this.#kernel.enter(this.netns);
      this.#entered.catch(() => {});
    }
    return this.#entered;
  }

  /** Its thread ends by itself: nobody waits for that. */
  leave(): void {
    this.#entered?.then((namespace) => namespace.close()).catch(() => {}); // never entered, or gone: nothing to close
  }
}
