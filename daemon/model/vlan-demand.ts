/**
 * Which VLANs somebody on this host uses, counted by user: an uplink carries those and no others. One more user or one
 * less costs its own VLANs, not a walk over all ports. The one mutable thing of the model.
 */
import { VlanSet } from "./vlan-set.ts";

export class VlanDemand {
  readonly #users = new Map<number, number>();
  #vlans: VlanSet | null = VlanSet.empty;

  /** true if the set of VLANs has grown */
  add(vlans: VlanSet): boolean {
    let grown = false;
    for (const vid of vlans) {
      const users = this.#users.get(vid) ?? 0;
      this.#users.set(vid, users + 1);
      grown ||= users === 0;
    }
    if (grown) this.#vlans = null;
    return grown;
  }

  /** true if the set of VLANs has shrunk. Only what was added may be removed. */
  remove(vlans: VlanSet): boolean {
    let shrunk = false;
    for (const vid of vlans) {
      const users = this.#users.get(vid) ?? 0;
      if (users === 0) throw new RangeError(`VLAN ${vid} has no user to remove`);
      if (users > 1) this.#users.set(vid, users - 1);
      else shrunk = this.#users.delete(vid);
    }
    if (shrunk) this.#vlans = null;
    return shrunk;
  }

  get vlans(): VlanSet {
    this.#vlans ??= VlanSet.from(this.#users.keys());
    return this.#vlans;
  }
}
