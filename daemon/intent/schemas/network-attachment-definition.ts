/** NetworkAttachmentDefinition (k8s.cni.cncf.io/v1) as Harvester writes it, and the bridge CNI configuration inside. */
import { dnsSubdomain, metadata, mtu, resource, type Schema, text, trunk, vlanOrZero } from "./common.ts";
import type { RawTrunkItem } from "./network.ts";

export const attachmentDefinitionSchema = resource<RawAttachmentDefinition>(
  "NetworkAttachmentDefinition: a network in the form that Multus reads",
  "k8s.cni.cncf.io/v1",
  "NetworkAttachmentDefinition",
  metadata(dnsSubdomain),
  {
    spec: {
      type: "object",
      "x-must": "be a map",
      additionalProperties: false,
      required: ["config"],
      properties: {
        config: { description: "Bridge CNI configuration in JSON", type: "string", "x-must": "be JSON text" },
      },
    },
  },
);

export interface RawAttachmentDefinition {
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
  };
}
export interface RawBridgeConfig {
  readonly bridge?: string;
  readonly vlan?: number;
  readonly vlanTrunk?: readonly RawTrunkItem[];
  readonly mtu?: number;
  readonly hairpinMode?: boolean;
  readonly promiscMode?: boolean;
  readonly portIsolation?: boolean;
}

const flag = { type: "boolean", "x-must": "be true or false" } as const;

/** The keys of the bridge plugin. Those that have a meaning only on attach are checked there. */
export const bridgeConfigSchema: Schema<RawBridgeConfig> = {
  type: "object",
  "x-must": "be a map",
  additionalProperties: false,
  required: ["type"],
  properties: {
    cniVersion: text,
    name: { ...text, minLength: 1 },
    type: {
      enum: ["bridge", "portwright"],
      "x-must": "be bridge or portwright: no other plugin's networks are switched here",
    },
    bridge: {
      type: "string",
      minLength: 4,
      maxLength: 15,
      pattern: "^[a-z0-9]([-a-z0-9]*[a-z0-9])?-br$",
      "x-must": "be the bridge of a cluster network, 4 to 15 characters: <cluster network>-br",
    },
    vlan: vlanOrZero,
    vlanTrunk: trunk,
    mtu,
    preserveDefaultVlan: flag,
    portIsolation: flag,
    promiscMode: flag,
    hairpinMode: flag,
    isGateway: flag,
    isDefaultGateway: flag,
    forceAddress: flag,
    ipMasq: flag,
    ipMasqBackend: text,
    macspoofchk: flag,
    enabledad: flag,
    disableContainerInterface: flag,
    ipam: { type: "object", "x-must": "be a map" },
    dns: { type: "object", "x-must": "be a map" },
    capabilities: { type: "object", "x-must": "be a map" },
    runtimeConfig: { type: "object", "x-must": "be a map" },
    args: { type: "object", "x-must": "be a map" },
  },
} as const;
