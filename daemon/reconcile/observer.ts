/** Reads the host as it is: links, addresses and ports, from the kernel and never from memory. */
import type { Datapath } from "../datapath/datapath.ts";
import type { Namespace } from "../kernel/kernel.ts";
import type { Observed } from "../model/target.ts";

export async function observe(namespace: Namespace, datapath: Datapath): Promise<Observed> {
  const dump = namespace.links();
  const [links, addresses, ports] = await Promise.all([dump, namespace.addresses(), datapath.observe(dump)]);
  return { links, addresses, ports };
}
