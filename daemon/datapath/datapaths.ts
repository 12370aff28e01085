/**
 * The datapaths of one host side by side: a port goes to the one that its configuration names. What the whole host is
 * asked is answered by all of them together.
 */
import { PortwrightError } from "../errors.ts";
import type { Link } from "../kernel/kernel.ts";
import type { DatapathKind, PortConfig } from "../model/port.ts";
import type { ObservedPort } from "../model/target.ts";
import type { Datapath, DatapathEvent, FdbCount, FdbEntry, MapUse, PortCounters, Rung } from "./datapath.ts";

export type DatapathByKind = Readonly<Partial<Record<DatapathKind, Datapath>>>;

export class Datapaths implements Datapath {
  readonly rung: Rung;
  readonly #byKind: DatapathByKind;
  readonly #all: readonly Datapath[];

  /** `main`: the one that status speaks of */
  constructor(main: Datapath, byKind: DatapathByKind) {
    this.rung = main.rung;
    this.#byKind = byKind;
    this.#all = Object.values(byKind);
  }

  observe(links: Promise<readonly Link[]>): Promise<readonly ObservedPort[]> {
    return this.#each((datapath) => datapath.observe(links));
  }

  async inspect(ifindex: number): Promise<ObservedPort | null> {
    const found = await Promise.all(this.#all.map((datapath) => datapath.inspect(ifindex)));
    return found.find((port) => port !== null) ?? null;
  }

  unhooked(): Promise<readonly number[]> {
    return this.#each((datapath) => datapath.unhooked());
  }

  async setPort(ifindex: number, config: PortConfig): Promise<ObservedPort> {
    const datapath = this.#byKind[config.datapath];
    if (datapath) return await datapath.setPort(ifindex, config);
    throw new PortwrightError("PORT_UNSUPPORTED", `this host has no ${config.datapath} datapath for link ${ifindex}`);
  }

  async settle(atMost: number): Promise<number> {
    const left = await Promise.all(this.#all.map((datapath) => datapath.settle(atMost)));
    return left.reduce((sum, one) => sum + one, 0);
  }

  async removePort(ifindex: number, datapath?: DatapathKind): Promise<void> {
    if (datapath === undefined) await Promise.all(this.#all.map((one) => one.removePort(ifindex)));
    else await this.#byKind[datapath]?.removePort(ifindex);
  }

  async forgetPort(ifindex: number): Promise<void> {
    await Promise.all(this.#all.map((one) => one.forgetPort(ifindex)));
  }

  async forgetElsewhere(ifindex: number, mac: string): Promise<void> {
    await Promise.all(this.#all.map((datapath) => datapath.forgetElsewhere(ifindex, mac)));
  }

  counters(): Promise<readonly PortCounters[]> {
    return this.#each((datapath) => datapath.counters());
  }

  fdb(): Promise<readonly FdbEntry[]> {
    return this.#each((datapath) => datapath.fdb());
  }

  fdbCounts(): Promise<readonly FdbCount[]> {
    return this.#each((datapath) => datapath.fdbCounts());
  }

  async age(maxAge: number): Promise<number> {
    const removed = await Promise.all(this.#all.map((datapath) => datapath.age(maxAge)));
    return removed.reduce((sum, one) => sum + one, 0);
  }

  mapUse(): Promise<readonly MapUse[]> {
    return this.#each((datapath) => datapath.mapUse());
  }

  onEvents(listener: (events: readonly DatapathEvent[]) => void): void {
    for (const datapath of this.#all) datapath.onEvents(listener);
  }

  async close(): Promise<void> {
    for (const datapath of this.#all) await datapath.close();
  }

  async destroy(): Promise<void> {
    for (const datapath of this.#all) await datapath.destroy();
  }

  async #each<T>(ask: (datapath: Datapath) => Promise<readonly T[]>): Promise<readonly T[]> {
    return (await Promise.all(this.#all.map(ask))).flat();
  }
}
