/** A bound on work in flight: what comes above it is told to try again, so that memory and waiting stay bounded. */
import { PortwrightError } from "../errors.ts";

export class Gate {
  readonly #limit: number;
  #inFlight = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  get isFull(): boolean {
    return this.#inFlight >= this.#limit;
  }

  async run<T>(work: () => Promise<T>): Promise<T> {
    if (this.isFull) throw new PortwrightError("BUSY", `${this.#limit} attach requests are in flight`);
    this.#inFlight++;
    try {
      return await work();
    } finally {
      this.#inFlight--;
    }
  }
}
