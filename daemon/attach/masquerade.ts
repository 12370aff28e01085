/**
 * Keeps our nftables table as the attachments want it: an address comes with its attachment and goes with it, whatever
 * became of the container; after each round what is there is compared with what should be.
 */
import { Limiter } from "../async/limiter.ts";
import { PortwrightError } from "../errors.ts";
import { isKernelError } from "../kernel/kernel-error.ts";
import type { MasqueradeRange, Namespace } from "../kernel/kernel.ts";
import type { Attachment } from "../model/attachment.ts";
import { type Masqueraded, masqueradeChange, masqueradeRanges } from "../model/masquerade.ts";
import { messageOf } from "../thrown.ts";

export interface MasqueradeOptions {
  readonly namespace: Pick<Namespace, "masquerade" | "replaceMasquerade" | "changeMasquerade">;
  readonly log: { warn(fields: object, message: string): void };
}

/**
 * Of a kernel without nf_tables, without its nat chains or without masquerading. ENOENT is an answer to the whole table
 * only: nothing can be missing there but parts of the kernel.
 */
const ABSENT = ["EPROTONOSUPPORT", "EOPNOTSUPP", "EAFNOSUPPORT", "ENOENT"];
/** The table is not as we left it: it was flushed, or an element was taken or added. */
const SURPRISE = ["ENOENT", "EEXIST", "ENOTEMPTY"];

export class Masquerade {
  readonly #options: MasqueradeOptions;
  /** by attachment */
  readonly #wanted = new Map<string, readonly Masqueraded[]>();
  /** what is in the table; null: it is not there, or that is not known */
  #table: readonly MasqueradeRange[] | null = null;
  /** an earlier daemon's table may be there */
  #isUnknown = true;
  readonly #mutex = new Limiter(1);

  constructor(options: MasqueradeOptions) {
    this.#options = options;
  }

  /** Of those that were there when the daemon started; the next comparison makes it so. */
  expect({ id, ips, masquerade }: Attachment): void {
    if (masquerade) this.#wanted.set(id, ips);
  }

  /** When it resolves, what the workload sends is masqueraded. */
  async add({ id, ips }: Attachment): Promise<void> {
    this.#wanted.set(id, ips);
    await this.#mutex.run(() => this.#follow());
  }

  /** Never rejects: what cannot be removed now goes with the next comparison. */
  async remove(id: string): Promise<void> {
    if (!this.#wanted.delete(id)) return;
    try {
      await this.#mutex.run(() => this.#follow());
    } catch (error) {
      this.#options.log.warn({ attachment: id, error: messageOf(error) }, "it is masqueraded still; will try again");
    }
  }

  /** What the kernel does not masquerade, each a sentence. */
  async verify({ ips }: Attachment): Promise<readonly string[]> {
    const there = (await this.#options.namespace.masquerade()) ?? [];
    const known = new Set(there.map(({ source }) => source));
    const missing = new Set(masqueradeRanges(ips).map(({ source }) => source));
    return [...missing].filter((source) => !known.has(source)).map((source) => `${source} is not masqueraded`);
  }

  /** Puts right what somebody changed, and removes a table that nobody needs. Never rejects. */
  async compare(): Promise<void> {
    if (this.#wanted.size === 0 && this.#table === null && !this.#isUnknown) return;
    try {
      await this.#mutex.run(() => this.#look());
    } catch (error) {
      this.#options.log.warn({ error: messageOf(error) }, "what is masqueraded cannot be compared; will try again");
    }
  }

  async #look(): Promise<void> {
    this.#table = await this.#read();
    this.#isUnknown = false;
    if (this.#wanted.size > 0) return await this.#follow();
    if (this.#table !== null) await this.#options.namespace.replaceMasquerade([]);
    this.#table = null;
  }

  async #read(): Promise<readonly MasqueradeRange[] | null> {
    try {
      return await this.#options.namespace.masquerade();
    } catch (error) {
      // A kernel that cannot do it, and nobody who asks for it.
      if (this.#wanted.size === 0 && ABSENT.some((code) => isKernelError(error, code))) return null;
      throw error;
    }
  }

  async #follow(): Promise<void> {
    const { namespace } = this.#options;
    const wanted = masqueradeRanges([...this.#wanted.values()].flat());
    const table = this.#table;
    if (table === null && wanted.length === 0) return;
    if (table !== null) {
      const { add, remove } = masqueradeChange(wanted, table);
      if (add.length === 0 && remove.length === 0) return;
      try {
        this.#table = null;
        await namespace.changeMasquerade(add, remove);
        this.#table = wanted;
        return;
      } catch (error) {
        if (!SURPRISE.some((code) => isKernelError(error, code))) throw error;
      }
    }
    try {
      await namespace.replaceMasquerade(wanted);
    } catch (cause) {
      if (!ABSENT.some((code) => isKernelError(cause, code))) throw cause;
      const message = `this kernel does not masquerade by nftables: ${messageOf(cause)}`;
      throw new PortwrightError("MASQUERADE_UNSUPPORTED", message, { cause });
    }
    this.#table = wanted;
  }
}
