/** The schemas by kind. config/schemas holds them as files, for editors; a test compares. */
import { clusterNetworkSchema } from "./cluster-network.ts";
import { attachmentDefinitionSchema } from "./network-attachment-definition.ts";
import { hostNetworkConfigSchema } from "./host-network-config.ts";
import { networkSchema } from "./network.ts";
import { vlanConfigSchema } from "./vlan-config.ts";

export const kindSchemas = {
  ClusterNetwork: clusterNetworkSchema,
  VlanConfig: vlanConfigSchema,
  NetworkAttachmentDefinition: attachmentDefinitionSchema,
  Network: networkSchema,
  HostNetworkConfig: hostNetworkConfigSchema,
} as const;

export type Kind = keyof typeof kindSchemas;

export function isKind(text: string): text is Kind {
  return Object.hasOwn(kindSchemas, text);
}

export const schemaFiles: Readonly<Record<Kind, string>> = {
  ClusterNetwork: "cluster-network.json",
  VlanConfig: "vlan-config.json",
  NetworkAttachmentDefinition: "network-attachment-definition.json",
  Network: "network.json",
  HostNetworkConfig: "host-network-config.json",
};
