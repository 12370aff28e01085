/** ClusterNetwork: its name, and whether its bridge is taken over. */
import type { ClusterNetwork } from "../../model/resources.ts";
import { clusterNetworkSchema } from "../schemas/cluster-network.ts";
import type { Check } from "../validate.ts";

export function readClusterNetwork(check: Check): ClusterNetwork | undefined {
  const raw = check.read(clusterNetworkSchema);
  if (raw === undefined) return undefined;
  const { adopt = false, vlanFiltering = false } = raw.spec ?? {};
  if (vlanFiltering && !adopt) check.refuse(["spec", "vlanFiltering"], "has no meaning without adopt");
  return {
    name: raw.metadata.name,
    ...(adopt && { adopt }),
    ...(vlanFiltering && { vlanFiltering }),
    place: check.source.at([]),
  };
}
