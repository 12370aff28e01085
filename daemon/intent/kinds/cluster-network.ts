/** ClusterNetwork: its name is all there is. */
import type { ClusterNetwork } from "../../model/resources.ts";
import { clusterNetworkSchema } from "../schemas/cluster-network.ts";
import type { Check } from "../validate.ts";

export function readClusterNetwork(check: Check): ClusterNetwork | undefined {
  const raw = check.read(clusterNetworkSchema);
  return raw && { name: raw.metadata.name, place: check.source.at([]) };
}
