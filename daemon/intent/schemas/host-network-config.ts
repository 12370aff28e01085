/** Harvester's HostNetworkConfig, and one field of ours: hardwareAddr. */
import { clusterNetworkName, dnsSubdomain, metadata, resource, text, textMap, vlan } from "./common.ts";

const modes = ["static", "dhcp"] as const;
const families = ["ipv4-only", "ipv6-only", "dual-stack"] as const;
const operators = ["In", "NotIn", "Exists", "DoesNotExist"] as const;

export interface RawLabelSelector {
  readonly matchLabels?: Readonly<Record<string, string>>;
  readonly matchExpressions?: readonly {
    readonly key: string;
    readonly operator: (typeof operators)[number];
    readonly values?: readonly string[];
  }[];
}
export interface RawHostNetworkConfig {
  readonly metadata: { readonly name: string };
  readonly spec: {
    readonly description?: string;
    readonly nodeSelector?: RawLabelSelector | Readonly<Record<string, string>> | null;
    readonly clusterNetwork: string;
    readonly underlay?: boolean;
    readonly vlanID: number;
    readonly mode: (typeof modes)[number];
    readonly ipFamily?: (typeof families)[number];
    readonly ips?: Readonly<Record<string, string>>;
    readonly hostMultiFamilyIPs?: Readonly<Record<string, { readonly ipv4?: string; readonly ipv6?: string }>>;
    readonly hardwareAddr?: string;
  };
}

const labelSelector = {
  type: "object",
  additionalProperties: false,
  required: [],
  properties: {
    matchLabels: textMap,
    matchExpressions: {
      type: "array",
      items: {
        type: "object",
        additionalProperties: false,
        required: ["key", "operator"],
        properties: {
          key: text,
          operator: { enum: operators },
          values: { type: "array", items: text },
        },
      },
    },
  },
} as const;

const ipv4Interface = {
  type: "string",
  "x-must": "be an IPv4 address of a host with its prefix length, e.g. 10.100.0.5/24",
} as const;
const ipv6Interface = {
  type: "string",
  "x-must": "be an IPv6 address with its prefix length, e.g. 2001:db8:100::5/64",
} as const;

export const hostNetworkConfigSchema = resource<RawHostNetworkConfig>(
  "HostNetworkConfig: an interface of the host itself in one VLAN of a cluster network",
  "network.harvesterhci.io/v1beta1",
  "HostNetworkConfig",
  metadata(dnsSubdomain),
  {
    spec: {
      type: "object",
      "x-must": "be a map",
      additionalProperties: false,
      required: ["clusterNetwork", "vlanID", "mode"],
      properties: {
        description: text,
        nodeSelector: {
          description: "Labels a host must have, as a label selector or as a plain map; empty matches every host",
          "x-must":
            "be a label selector (matchLabels, matchExpressions with operator In, NotIn, Exists or DoesNotExist) or a map of labels to texts",
          anyOf: [{ type: "null" }, labelSelector, textMap],
        },
        clusterNetwork: clusterNetworkName,
        underlay: {
          description: "Overlay networks may use the interface; told in the status, without effect here",
          type: "boolean",
          "x-must": "be true or false",
        },
        vlanID: vlan,
        mode: { enum: modes, "x-must": `be one of ${modes.join(", ")}` },
        ipFamily: {
          description: "Default ipv4-only, which is what mode dhcp can do",
          enum: families,
          "x-must": `be one of ${families.join(", ")}`,
        },
        ips: {
          description: "IPv4 addresses by node name, for mode static",
          type: "object",
          maxProperties: 500,
          "x-must": "be a map of at most 500 node names to addresses",
          additionalProperties: ipv4Interface,
        },
        hostMultiFamilyIPs: {
          description: "In place of ips: addresses of both families by node name",
          type: "object",
          maxProperties: 500,
          "x-must": "be a map of at most 500 node names to {ipv4, ipv6}",
          additionalProperties: {
            type: "object",
            "x-must": "be {ipv4, ipv6}",
            additionalProperties: false,
            properties: { ipv4: ipv4Interface, ipv6: ipv6Interface },
          },
        },
        hardwareAddr: {
          description: "MAC address of the interface; empty or absent: one derived from host, cluster network and VLAN",
          type: "string",
          format: "mac-or-empty",
          "x-must": "be the MAC address of one interface, e.g. 02:00:5e:10:00:01",
        },
      },
    },
  },
);
