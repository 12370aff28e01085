/** Intent in few words, and what is wrong with it, for tests of the rules. */
import { IntentErrors, parseIntent } from "../../daemon/intent/intent.ts";

const host = { nodeName: "node1", nodeLabels: { rack: "a" } };

/** What is wrong, as `line:column CODE message`. */
export function faults(text: string): string[] {
  try {
    parseIntent(text, "t.yaml", host);
    return [];
  } catch (error) {
    if (!(error instanceof IntentErrors)) throw error;
    return error.errors.map((e) => `${e.place?.line}:${e.place?.column} ${e.code} ${e.message}`);
  }
}

export const CN = `apiVersion: network.harvesterhci.io/v1beta1
kind: ClusterNetwork
metadata: {name: oob}
---
`;
/** lines 5 to 7 are the head, 8 is spec: */
export const vc = (spec: string, name = "vc1"): string => `${CN}apiVersion: network.harvesterhci.io/v1beta1
kind: VlanConfig
metadata: {name: ${name}}
${spec}`;
export const net = (spec: string): string => `${CN}apiVersion: portwright.io/v1alpha1
kind: Network
metadata: {name: n1}
spec: {clusterNetwork: oob, ${spec}}
`;
export const nad = (config: string, metadata = "name: n1"): string => `${CN}apiVersion: k8s.cni.cncf.io/v1
kind: NetworkAttachmentDefinition
metadata: {${metadata}}
spec:
  config: '${config}'
`;
export const uplink = (text: string): string => vc(`spec: {clusterNetwork: oob, uplink: {nics: [a], ${text}}}\n`);
export const cn = (name: string): string => `apiVersion: network.harvesterhci.io/v1beta1
kind: ClusterNetwork
metadata: {name: ${name}}
`;
