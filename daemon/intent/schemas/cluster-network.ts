/** Harvester's ClusterNetwork: a name, and no spec. */
import { clusterNetworkName, metadata, resource } from "./common.ts";

export const clusterNetworkSchema = resource(
  "ClusterNetwork: a group of networks that share one uplink",
  "network.harvesterhci.io/v1beta1",
  "ClusterNetwork",
  metadata(clusterNetworkName),
  {},
);
