/** Harvester's ClusterNetwork: a name; the spec is ours and optional. */
import { clusterNetworkName, metadata, resource } from "./common.ts";

export interface RawClusterNetwork {
  readonly metadata: { readonly name: string };
  readonly spec?: { readonly adopt?: boolean; readonly vlanFiltering?: boolean };
}

const boolean = { type: "boolean", "x-must": "be true or false" } as const;
const named = resource<RawClusterNetwork>(
  "ClusterNetwork: a group of networks that share one uplink",
  "network.harvesterhci.io/v1beta1",
  "ClusterNetwork",
  metadata(clusterNetworkName),
  {},
);

export const clusterNetworkSchema: typeof named = {
  ...named,
  properties: {
    ...named.properties,
    spec: {
      type: "object",
      "x-must": "be a map",
      additionalProperties: false,
      properties: {
        adopt: {
          ...boolean,
          description: "The bridge is there already and is taken over as it is: never made, never deleted",
        },
        vlanFiltering: {
          ...boolean,
          description: "With adopt: the bridge shall filter VLANs, should it not do so yet",
        },
      },
    },
  },
};
