/** Our Network: the short form of a network attachment definition. */
import { clusterNetworkName, dnsLabel, metadata, resource, trunk, vlanOrZero } from "./common.ts";
import type { NetworkType } from "../../model/resources.ts";
import { type RawRoute, routeSchema } from "./route.ts";

const networkTypes = ["L2VlanNetwork", "UntaggedNetwork", "L2VlanTrunkNetwork"] as const;

export interface RawTrunkItem {
  readonly id?: number;
  readonly minID?: number;
  readonly maxID?: number;
}
export interface RawNetwork {
  readonly metadata: { readonly name: string };
  readonly spec: {
    readonly clusterNetwork: string;
    readonly type: NetworkType;
    readonly vlan?: number;
    readonly trunk?: readonly RawTrunkItem[];
    readonly route?: RawRoute;
    readonly portIsolation?: boolean;
    readonly fdbLimit?: number;
  };
}

export const networkSchema = resource<RawNetwork>(
  "Network: one network that workloads attach to",
  "portwright.io/v1alpha1",
  "Network",
  metadata(dnsLabel),
  {
    spec: {
      type: "object",
      "x-must": "be a map",
      additionalProperties: false,
      required: ["clusterNetwork", "type"],
      properties: {
        clusterNetwork: clusterNetworkName,
        type: { enum: networkTypes, "x-must": `be one of ${networkTypes.join(", ")}` },
        vlan: { ...vlanOrZero, description: "Of an L2VlanNetwork; 0 or absent for the other types" },
        trunk,
        route: routeSchema,
        portIsolation: {
          description: "Ports of the network reach only ports that are not isolated, such as the uplink",
          type: "boolean",
          "x-must": "be true or false",
        },
        fdbLimit: {
          description: "Addresses that may be learned on one port; 0: no limit",
          type: "integer",
          minimum: 0,
          maximum: 65536,
          "x-must": "be 0 to 65536",
        },
      },
    },
  },
);
