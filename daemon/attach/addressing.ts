/** Where an attachment's addresses come from, and when that can be asked: an IPAM plugin and one call of it. */
import type { Addresses, IpamCall, Offer } from "./ipam.ts";

/** `release` is harmless if nothing was obtained. */
export interface Addressing {
  /**
   * They can be had, and given back, only through the interface (DHCP): obtained when it is there, released before it
   * goes. Others are obtained while it is made, and released when nothing can use them any more.
   */
  readonly needsPort: boolean;
  obtain(): Promise<Offer>;
  release(): Promise<void>;
}

/** IPAM plugins that are known to do without the interface: others may want to speak through it, as dhcp does. */
const PORTLESS: ReadonlySet<string> = new Set(["host-local", "static", "whereabouts"]);

export function ipamAddressing(ipam: Pick<Addresses, "add" | "del">, call: IpamCall): Addressing {
  return {
    needsPort: !PORTLESS.has(call.type),
    obtain: () => ipam.add(call),
    release: () => ipam.del(call),
  };
}
