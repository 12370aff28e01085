/** Harvester's VlanConfig, and one field of ours: uplink.nativeVlan. */
import { clusterNetworkName, dnsSubdomain, metadata, mtu, resource, text, textMap, vlan } from "./common.ts";

/** Bond modes by number, as uapi/linux/if_bonding.h has them. */
export const bondModes = [
  "balance-rr",
  "active-backup",
  "balance-xor",
  "broadcast",
  "802.3ad",
  "balance-tlb",
  "balance-alb",
] as const;

export interface RawVlanConfig {
  readonly metadata: { readonly name: string };
  readonly spec: {
    readonly clusterNetwork: string;
    readonly description?: string;
    readonly nodeSelector?: Readonly<Record<string, string>> | null;
    readonly uplink: {
      readonly nics: readonly string[];
      readonly linkAttributes?: { readonly mtu?: number; readonly txQLen?: number; readonly hardwareAddr?: string };
      readonly bondOptions?: { readonly mode?: string | number; readonly miimon?: number };
      readonly nativeVlan?: number;
    };
  };
}

export const vlanConfigSchema = resource<RawVlanConfig>(
  "VlanConfig: which NICs carry a cluster network, on which hosts",
  "network.harvesterhci.io/v1beta1",
  "VlanConfig",
  metadata(dnsSubdomain),
  {
    spec: {
      type: "object",
      "x-must": "be a map",
      additionalProperties: false,
      required: ["clusterNetwork", "uplink"],
      properties: {
        clusterNetwork: clusterNetworkName,
        description: text,
        nodeSelector: {
          ...textMap,
          type: ["object", "null"],
          description: "Labels a host must have; empty matches every host",
        },
        uplink: {
          type: "object",
          "x-must": "be a map",
          additionalProperties: false,
          required: ["nics"],
          properties: {
            nics: {
              description: "Names of the host's interfaces",
              type: "array",
              minItems: 1,
              "x-must": "name at least one NIC",
              items: {
                type: "string",
                format: "interface-name",
                "x-must": "be the name of a NIC: 1 to 15 bytes without /, : and blanks, and not lo",
              },
            },
            linkAttributes: {
              type: "object",
              "x-must": "be a map",
              additionalProperties: false,
              properties: {
                mtu,
                txQLen: {
                  description: "Length of the transmit queue; -1 leaves it",
                  type: "integer",
                  minimum: -1,
                  maximum: 4294967295,
                  "x-must": "be -1 or more",
                },
                hardwareAddr: {
                  description: "MAC address of the uplink; empty leaves it",
                  type: "string",
                  format: "mac-or-empty",
                  "x-must": "be the MAC address of one interface, e.g. 02:00:5e:10:00:01",
                },
              },
            },
            bondOptions: {
              type: "object",
              "x-must": "be a map",
              additionalProperties: false,
              properties: {
                mode: {
                  description: "Default active-backup",
                  enum: [...bondModes, 0, 1, 2, 3, 4, 5, 6, ""],
                  "x-must": `be one of ${bondModes.join(", ")}, or its number, 0 to 6`,
                },
                miimon: {
                  description: "Milliseconds between looks at the carrier; -1 means 100",
                  type: "integer",
                  minimum: -1,
                  maximum: 2147483647,
                  "x-must": "be -1 or more",
                },
              },
            },
            nativeVlan: { ...vlan, description: "VLAN of untagged frames on the wire; default 1" },
          },
        },
      },
    },
  },
);
