/**
 * Hanging the ingress program on a link, in the two ways that kernels offer. tcx (6.6): a pinned link each, replaced in
 * place by link update (no packet is lost). clsact: a filter that the kernel holds until the link or the filter goes.
 */
import { readdir } from "node:fs/promises";
import type { Bpf, BpfLink, BpfProgram, Namespace } from "../../kernel/kernel.ts";
import { isKernelError } from "../../kernel/kernel-error.ts";
import type { Rung } from "../datapath.ts";
import type { PinPaths } from "./pins.ts";

export interface Hook {
  /** puts the program on the link, or in the place of an older one */
  attach(ifindex: number): Promise<void>;
  /** true if this very program hangs on this very link */
  isAttached(ifindex: number): Promise<boolean>;
  /** which of these links lack this very program; cheap, for it is asked every second */
  missing(ifindexes: readonly number[]): Promise<readonly number[]>;
  /** harmless if it is gone */
  detach(ifindex: number): Promise<void>;
  /** interface indexes that have something of ours, those of deleted links included */
  attached(): Promise<readonly number[]>;
}

/**
 * tcx or clsact? BPF_LINK_CREATE on an interface that cannot exist answers ENODEV where the kernel knows tcx and EINVAL
 * where it does not: asked without touching any link.
 */
export async function hasTcx(bpf: Bpf, program: BpfProgram): Promise<boolean> {
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
    return { hook: new TcxHook(namespace.bpf, program, pins), rung: { name: "tcx+peer", reason: "" } };
  return {
    hook: new ClsactHook(namespace, program),
    rung: { name: "clsact+peer", reason: "the kernel has no tcx (Linux 6.6)" },
  };
}

export class TcxHook implements Hook {
  readonly #bpf: Bpf;
  readonly #program: BpfProgram;
  readonly #pins: PinPaths;

  constructor(bpf: Bpf, program: BpfProgram, pins: PinPaths) {
    this.#bpf = bpf;
    this.#program = program;
    this.#pins = pins;
  }

  async attach(ifindex: number): Promise<void> {
    const pin = this.#pins.link(ifindex);
    const old = await this.#open(ifindex);
    if (old) {
      try {
        if (old.ifindex === ifindex) {
          if (old.programId !== this.#program.id) await this.#bpf.updateLink(old, this.#program);
          return;
        }
      } finally {
        old.close();
      }
      await this.#bpf.unpin(pin); // of a link that was deleted; the index came back
    }
    const link = await this.#bpf.attachTcx(this.#program, ifindex);
    try {
      await this.#bpf.pin(link, pin);
    } finally {
      link.close(); // the pin holds it: an open descriptor a port would be 500 of them
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

  async detach(ifindex: number): Promise<void> {
    try {
      await this.#bpf.detachClsact(ifindex);
    } catch (error) {
      if (!isKernelError(error, "ENODEV") && !isKernelError(error, "ENOENT")) throw error;
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
