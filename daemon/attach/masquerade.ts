/**
 * Keeps our nftables table as the attachments want it: an address comes with its attachment and goes with it, whatever
 * became of the container; after each round what is there is compared with what should be.
 */
import { Limiter } from "../async/limiter.ts";
import { PortwrightError } from "../errors.ts";
import { isKernelError } from "../kernel/kernel-error.ts";
import type { Masquerade as Table, Namespace } from "../kernel/kernel.ts";
import type { Attachment } from "../model/attachment.ts";
import { isNothing, MasqueradedWorkloads, type MasqueradeChange, masqueradeDifference } from "../model/masquerade.ts";
import { messageOf } from "../thrown.ts";

type Workload = Pick<Attachment, "id" | "ips" | "masquerade">;
type Kernel = Pick<Namespace, "masquerade" | "hasMasqueradeSource" | "replaceMasquerade" | "changeMasquerade">;

export interface MasqueradeOptions {
  readonly namespace: Kernel;
  readonly log: { warn(fields: object, message: string): void };
}

/**
 * Of a kernel without nf_tables, without its nat chains or without masquerading. ENOENT is an answer to the whole table
 * only: nothing can be missing there but parts of the kernel.
 */
const ABSENT = ["EPROTONOSUPPORT", "EOPNOTSUPP", "EAFNOSUPPORT", "ENOENT"];
/** The table is not as we left it, or has no sets for a prefix length yet. */
const SURPRISE = ["ENOENT", "EEXIST"];

export class Masquerade {
  readonly #options: MasqueradeOptions;
  readonly #wanted = new MasqueradedWorkloads();
  /** our table: there, as the wanted ones want it; not there; at the start and after an error, neither is known */
  #table: "follows" | "none" | "unknown" = "unknown";
  readonly #mutex = new Limiter(1);

  constructor(options: MasqueradeOptions) {
    this.#options = options;
  }

  /** Of those that were there when the daemon started; the next comparison makes it so. */
  expect({ id, ips, masquerade }: Workload): void {
    if (masquerade) this.#wanted.set(id, ips);
  }

  /** When it resolves, what the workload sends is masqueraded. */
  async add({ id, ips }: Workload): Promise<void> {
    await this.#mutex.run(() => this.#follow(this.#wanted.set(id, ips)));
  }

  /** Never rejects: what cannot be removed now goes with the next comparison. */
  async remove(id: string): Promise<void> {
    if (!this.#wanted.has(id)) return;
    try {
      await this.#mutex.run(() => this.#follow(this.#wanted.delete(id)));
    } catch (error) {
      this.#options.log.warn({ attachment: id, error: messageOf(error) }, "it is masqueraded still; will try again");
    }
  }

  /** What the kernel does not masquerade, each a sentence. */
  async verify({ id }: Workload): Promise<readonly string[]> {
    const sources = this.#wanted.sourcesOf(id);
    const there = await Promise.all(sources.map((source) => this.#options.namespace.hasMasqueradeSource(source)));
    return sources.filter((_, i) => there[i] === false).map(({ address }) => `${address} is not masqueraded`);
  }

  /** Puts right what somebody changed, and removes a table that nobody needs. Never rejects. */
  async compare(): Promise<void> {
    if (this.#wanted.isEmpty && this.#table === "none") return;
    try {
      await this.#mutex.run(() => this.#look());
    } catch (error) {
      this.#options.log.warn({ error: messageOf(error) }, "what is masqueraded cannot be compared; will try again");
    }
  }

  async #look(): Promise<void> {
    const found = await this.#read();
    if (found === null && this.#wanted.isEmpty) {
      this.#table = "none";
    } else if (found === null || found === "changed" || this.#wanted.isEmpty) {
      await this.#replace();
    } else {
      this.#table = "follows";
      await this.#follow(masqueradeDifference(this.#wanted.all(), found));
    }
  }

  async #read(): Promise<Table | "changed" | null> {
    try {
      return await this.#options.namespace.masquerade();
    } catch (error) {
      // A kernel that cannot do it, and nobody who asks for it.
      if (this.#wanted.isEmpty && isAbsent(error)) return null;
      throw error;
    }
  }

  async #follow({ add, remove }: MasqueradeChange): Promise<void> {
    if (this.#table !== "follows") return await this.#replace();
    if (isNothing(add) && isNothing(remove)) return;
    this.#table = "unknown";
    try {
      await this.#options.namespace.changeMasquerade(add, remove);
      this.#table = "follows";
    } catch (error) {
      if (!SURPRISE.some((code) => isKernelError(error, code))) throw error;
      await this.#replace();
    }
  }

  async #replace(): Promise<void> {
    const all = this.#wanted.all();
    this.#table = "unknown";
    try {
      await this.#options.namespace.replaceMasquerade(all);
    } catch (cause) {
      if (!isAbsent(cause)) throw cause;
      const message = `this kernel does not masquerade by nftables: ${messageOf(cause)}`;
      throw new PortwrightError("MASQUERADE_UNSUPPORTED", message, { cause });
    }
    this.#table = isNothing(all) ? "none" : "follows";
  }
}

function isAbsent(error: unknown): boolean {
  return ABSENT.some((code) => isKernelError(error, code));
}
