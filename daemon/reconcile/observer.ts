/** Reads the host as it is: links, addresses and ports, from the kernel and never from memory. */
import type { Datapath } from "../datapath/datapath.ts";
import type { Address, Namespace } from "../kernel/kernel.ts";
import type { Observed } from "../model/target.ts";

export interface Observation extends Observed {
  readonly addresses: readonly Address[];
}

export async function observe(namespace: Namespace, datapath: Datapath): Promise<Observation> {
  const dump = namespace.links();
  const [links, addresses, ports] = await Promise.all([dump, namespace.addresses(), datapath.observe(dump)]);
  return { links, addresses, ports };
}
