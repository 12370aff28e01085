/**
 * Hanging the ingress program on a link, in the two ways that kernels offer. clsact: a filter that the kernel holds until
 * the link or the filter goes; there at once. tcx (6.6): a pinned link each, replaced in place by link update; about 5 %
 * less a frame, but coming and going wait for an RCU grace period under RTNL (tcx_entry_sync), some 10 ms in which
 * nobody on the host can change a link. So the port of a new workload begins with the filter, and settles into tcx when
 * there is time. A link that carries traffic already gets tcx at once: to add or remove the filter's qdisc stops its
 * transmit queues for a moment.
 */
import { existsSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import type { Bpf, BpfLink, BpfProgram } from "../../kernel/bpf.ts";
import type { Namespace } from "../../kernel/kernel.ts";
import { isKernelError } from "../../kernel/kernel-error.ts";
import type { Rung } from "../datapath.ts";
import type { PinPaths } from "./pins.ts";

export interface Hook {
  /** puts the program on the link, or in the place of an older one; frames go through it when this resolves */
  attach(ifindex: number, link: "new" | "in use"): Promise<void>;
  /** brings it into its best form, without a gap; false if it was there already */
  settle(ifindex: number): Promise<boolean>;
  /** true if this very program hangs on this very link; `link` says where it is the more likely, and is looked first */
  isAttached(ifindex: number, link?: "new" | "in use"): Promise<boolean>;
  /** which of these links lack this very program; cheap, for it is asked every second */
  missing(ifindexes: readonly number[]): Promise<readonly number[]>;
  /** harmless if it is gone */
  detach(ifindex: number): Promise<void>;
  /** of a link that is gone, which took the program along */
  forget(ifindex: number): Promise<void>;
  /** interface indexes that have something of ours, those of deleted links included */
  attached(): Promise<readonly number[]>;
}

/**
 * tcx or clsact? BPF_LINK_CREATE on an interface that cannot exist answers ENODEV where the kernel knows tcx and EINVAL
 * where it does not: asked without touching any link.
 */
async function hasTcx(bpf: Bpf, program: BpfProgram): Promise<boolean> {
  try {
    const link = await bpf.attachTcx(program, 0x7fffffff);
    link.close();
    return true;
  } catch (error) {
    if (isKernelError(error, "ENODEV")) return true;
    if (isKernelError(error, "EINVAL")) return false;
    throw error;
  }
}

export async function chooseHook(
  namespace: Pick<Namespace, "bpf" | "links">,
  program: BpfProgram,
  pins: PinPaths,
): Promise<{ hook: Hook; rung: Rung }> {
  if (await hasTcx(namespace.bpf, program))
    return { hook: new SettlingHook(namespace, program, pins), rung: { name: "tcx+peer", reason: "" } };
  return {
    hook: new ClsactHook(namespace, program),
    rung: { name: "clsact+peer", reason: "the kernel has no tcx (Linux 6.6)" },
  };
}

export class SettlingHook implements Hook {
  readonly #tcx: TcxLinks;
  readonly #filter: ClsactHook;

  constructor(namespace: Pick<Namespace, "bpf" | "links">, program: BpfProgram, pins: PinPaths) {
    this.#tcx = new TcxLinks(namespace.bpf, program, pins);
    this.#filter = new ClsactHook(namespace, program);
  }

  async attach(ifindex: number, link: "new" | "in use"): Promise<void> {
    // A new link has no pin of its own; one that an older link of this index left is replaced when the port settles.
    await (link === "new" ? this.#filter : this.#tcx).attach(ifindex);
  }

  /** tcx runs before filters and its verdict is final, so for a moment both hang there and no frame sees two. */
  async settle(ifindex: number): Promise<boolean> {
    const settled = await this.#tcx.isAttached(ifindex);
    if (!settled) await this.#tcx.attach(ifindex);
    const filter = await this.#filter.remove(ifindex, { keepQdisc: true });
    return !settled || filter;
  }

  async isAttached(ifindex: number, link: "new" | "in use" = "in use"): Promise<boolean> {
    const [first, second] = link === "new" ? [this.#filter, this.#tcx] : [this.#tcx, this.#filter];
    return (await first.isAttached(ifindex)) || (await second.isAttached(ifindex));
  }

  /** Most have settled. One that settles between the first two looks is seen by the third: none goes back to a filter. */
  async missing(ifindexes: readonly number[]): Promise<readonly number[]> {
    const unsettled = await this.#tcx.missing(ifindexes);
    if (unsettled.length === 0) return unsettled;
    const bare = await this.#filter.missing(unsettled);
    return bare.length === 0 ? bare : await this.#tcx.missing(bare);
  }

  async detach(ifindex: number): Promise<void> {
    await Promise.all([this.#tcx.detach(ifindex), this.#filter.detach(ifindex)]);
  }

  forget(ifindex: number): Promise<void> {
    return this.#tcx.forget(ifindex);
  }

  async attached(): Promise<readonly number[]> {
    const [pinned, filtered] = await Promise.all([this.#tcx.attached(), this.#filter.attached()]);
    return [...new Set([...pinned, ...filtered])];
  }
}

const FREEING_TRIES = 40;
const FREEING_WAIT_MS = 25;

class TcxLinks {
  readonly #bpf: Bpf;
  readonly #program: BpfProgram;
  readonly #pins: PinPaths;

  constructor(bpf: Bpf, program: BpfProgram, pins: PinPaths) {
    this.#bpf = bpf;
    this.#program = program;
    this.#pins = pins;
  }

  /** false if no link of ours is there to be brought up to date */
  async update(ifindex: number): Promise<boolean> {
    const link = await this.#open(ifindex);
    if (!link) return false;
    try {
      if (link.ifindex === ifindex) {
        if (link.programId !== this.#program.id) await this.#bpf.updateLink(link, this.#program);
        return true;
      }
    } finally {
      link.close();
    }
    await this.#bpf.unpin(this.#pins.link(ifindex)); // of a link that was deleted; the index came back
    return false;
  }

  async attach(ifindex: number): Promise<void> {
    if (await this.update(ifindex)) return;
    const link = await this.#create(ifindex);
    try {
      await this.#bpf.pin(link, this.#pins.link(ifindex));
    } finally {
      link.close(); // the pin holds it: an open descriptor a port would be 500 of them
    }
  }

  /**
   * A link whose pin somebody removed is freed by a work queue a little later, and until then the same program cannot
   * be attached again.
   */
  async #create(ifindex: number): Promise<BpfLink> {
    for (let tried = 1; ; tried++) {
      try {
        return await this.#bpf.attachTcx(this.#program, ifindex);
      } catch (error) {
        if (!isKernelError(error, "EEXIST") || tried === FREEING_TRIES) throw error;
      }
      await sleep(FREEING_WAIT_MS);
    }
  }

  async isAttached(ifindex: number): Promise<boolean> {
    const link = await this.#open(ifindex);
    if (!link) return false;
    link.close();
    return link.ifindex === ifindex && link.programId === this.#program.id;
  }

  missing(ifindexes: readonly number[]): Promise<readonly number[]> {
    return this.#bpf.linksWithout("tcx", this.#program, ifindexes);
  }

  async detach(ifindex: number): Promise<void> {
    const link = await this.#open(ifindex);
    if (!link) return;
    try {
      if (link.ifindex !== 0) await this.#bpf.detachLink(link);
      await this.#bpf.unpin(this.#pins.link(ifindex));
    } finally {
      link.close();
    }
  }

  /** A port that has not settled has no pin: to look is cheaper than to be told so. */
  async forget(ifindex: number): Promise<void> {
    const pin = this.#pins.link(ifindex);
    if (existsSync(pin)) await this.#bpf.unpin(pin);
  }

  async attached(): Promise<readonly number[]> {
    return (await readdir(this.#pins.links)).map(Number);
  }

  async #open(ifindex: number): Promise<BpfLink | null> {
    try {
      return await this.#bpf.openLink(this.#pins.link(ifindex));
    } catch (error) {
      if (isKernelError(error, "ENOENT")) return null;
      throw error;
    }
  }
}

export class ClsactHook implements Hook {
  readonly #namespace: Pick<Namespace, "bpf" | "links">;
  readonly #bpf: Bpf;
  readonly #program: BpfProgram;

  constructor(namespace: Pick<Namespace, "bpf" | "links">, program: BpfProgram) {
    this.#namespace = namespace;
    this.#bpf = namespace.bpf;
    this.#program = program;
  }

  async attach(ifindex: number): Promise<void> {
    await this.#bpf.attachClsact(this.#program, ifindex);
  }

  async isAttached(ifindex: number): Promise<boolean> {
    return (await this.#programOn(ifindex)) === this.#program.id;
  }

  missing(ifindexes: readonly number[]): Promise<readonly number[]> {
    return this.#bpf.linksWithout("clsact", this.#program, ifindexes);
  }

  settle(): Promise<boolean> {
    return Promise.resolve(false);
  }

  async detach(ifindex: number): Promise<void> {
    await this.remove(ifindex, { keepQdisc: false });
  }

  forget(): Promise<void> {
    return Promise.resolve();
  }

  /** false if there was none */
  async remove(ifindex: number, options: { readonly keepQdisc: boolean }): Promise<boolean> {
    try {
      await this.#bpf.detachClsact(ifindex, options);
      return true;
    } catch (error) {
      if (isKernelError(error, "ENODEV") || isKernelError(error, "ENOENT")) return false;
      throw error;
    }
  }

  /** A filter goes with its link, but not with the daemon: those of links that are no ports are found by asking all. */
  async attached(): Promise<readonly number[]> {
    const links = await this.#namespace.links();
    const programs = await Promise.all(links.map(({ ifindex }) => this.#programOn(ifindex)));
    return links.filter((_, i) => programs[i] !== 0).map(({ ifindex }) => ifindex);
  }

  async #programOn(ifindex: number): Promise<number> {
    try {
      return await this.#bpf.queryClsact(ifindex);
    } catch (error) {
      if (isKernelError(error, "ENODEV")) return 0;
      throw error;
    }
  }
}
