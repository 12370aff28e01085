/** Does the deletions that the plugin left in the queue while there was no daemon to ask. */
import { Limiter } from "../async/limiter.ts";
import { PortwrightError } from "../errors.ts";
import type { AttachLog } from "./attach-log.ts";
import type { CniReply, CniRequest } from "./cni-request.ts";
import type { DeleteQueue } from "./delete-queue.ts";

export class QueuedDeletes {
  readonly #queue: DeleteQueue;
  readonly #log: Pick<AttachLog, "warn" | "error">;
  readonly #answer: (request: CniRequest) => Promise<CniReply>;
  readonly #draining = new Limiter(1);
  /** those that failed: not tried again until they are forgiven, so that they do not slow each new attachment */
  readonly #failed = new Set<string>();

  constructor(
    queue: DeleteQueue,
    log: Pick<AttachLog, "warn" | "error">,
    answer: (request: CniRequest) => Promise<CniReply>,
  ) {
    this.#queue = queue;
    this.#log = log;
    this.#answer = answer;
  }

  /** Never rejects. */
  async drain(): Promise<void> {
    const waiting = () => this.#queue.names().filter((name) => !this.#failed.has(name));
    try {
      if (waiting().length === 0) return;
      await this.#draining.run(async () => {
        for (const name of waiting()) await this.#do(name);
      });
    } catch (error) {
      this.#log.error({ error }, "the queue of deletions cannot be read");
    }
  }

  forgive(): void {
    this.#failed.clear();
  }

  async #do(name: string): Promise<void> {
    try {
      const request = this.#queue.read(name);
      if (request.env.CNI_COMMAND !== "DEL") throw new PortwrightError("STATE_IO", "it is no DEL");
      if ((await this.#answer(request)).exitCode === 0) return this.#queue.done(name);
      this.#failed.add(name);
    } catch (error) {
      this.#log.warn({ file: name, error }, "a queued deletion cannot be read and is set aside");
      this.#queue.setAside(name);
    }
  }
}
