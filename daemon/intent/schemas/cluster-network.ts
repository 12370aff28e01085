/** Harvester's ClusterNetwork: a name, and no spec. */
import { clusterNetworkName, metadata, resource } from "./common.ts";

export interface RawClusterNetwork {
  readonly metadata: { readonly name: string };
}

export const clusterNetworkSchema = resource<RawClusterNetwork>(
  "ClusterNetwork: a group of networks that share one uplink",
  "network.harvesterhci.io/v1beta1",
  "ClusterNetwork",
  metadata(clusterNetworkName),
  {},
);
