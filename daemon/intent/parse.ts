/** Documents in, resources out, kind by kind. What is wrong is collected, so that one run shows all of it. */
import { PortwrightError } from "../errors.ts";
import type { ClusterNetwork, Network, Place, VlanConfig } from "../model/resources.ts";
import { isObject } from "../safe-json.ts";
import { readAttachmentDefinition } from "./kinds/attachment-definition.ts";
import { readClusterNetwork } from "./kinds/cluster-network.ts";
import { type HostNetworkDefinition, readHostNetworkConfig } from "./kinds/host-network-config.ts";
import { readNetwork } from "./kinds/network.ts";
import { readVlanConfig } from "./kinds/vlan-config.ts";
import { isKind, type Kind, kindSchemas } from "./schemas/index.ts";
import { type Path, readYaml, type Source } from "./source.ts";
import { Check, show } from "./validate.ts";

/** A resource and where its fields were written. */
export interface Located<T> {
  readonly resource: T;
  readonly at: (path: Path) => Place;
}
export interface LocatedNetwork extends Located<Network> {
  /** where it names its cluster network */
  readonly clusterNetworkPlace: Place;
  /** that an attachment definition claims; 0: none */
  readonly mtu: number;
  readonly mtuPlace: Place;
}

export interface Resources {
  readonly clusterNetworks: Located<ClusterNetwork>[];
  readonly vlanConfigs: Located<VlanConfig>[];
  readonly networks: LocatedNetwork[];
  readonly hostNetworks: Located<HostNetworkDefinition>[];
  /** names of all ClusterNetworks, faulty ones too: a reference to one is not a second fault */
  readonly declared: Set<string>;
}

export function noResources(): Resources {
  return { clusterNetworks: [], vlanConfigs: [], networks: [], hostNetworks: [], declared: new Set() };
}

export function readResources(text: string, file: string, into: Resources, errors: PortwrightError[]): void {
  for (const source of readYaml(text, file, errors)) readResource(source, into, errors);
}

function readResource(source: Source, into: Resources, errors: PortwrightError[]): void {
  const check = new Check(source, errors);
  switch (kindOf(source, errors)) {
    case "ClusterNetwork": {
      const name = nameOf(source.value);
      if (name !== undefined) into.declared.add(name);
      const resource = readClusterNetwork(check);
      if (resource) into.clusterNetworks.push({ resource, at: source.at });
      return;
    }
    case "VlanConfig": {
      const resource = readVlanConfig(check);
      if (resource) into.vlanConfigs.push({ resource, at: source.at });
      return;
    }
    case "Network": {
      const resource = readNetwork(check);
      if (!resource) return;
      const clusterNetworkPlace = source.at(["spec", "clusterNetwork"]);
      into.networks.push({ resource, at: source.at, clusterNetworkPlace, mtu: 0, mtuPlace: resource.place });
      return;
    }
    case "NetworkAttachmentDefinition": {
      const definition = readAttachmentDefinition(check, errors);
      if (!definition) return;
      into.networks.push({
        resource: definition.network,
        at: source.at,
        clusterNetworkPlace: definition.config.source.at(["bridge"]),
        mtu: definition.mtu.value,
        mtuPlace: definition.config.source.at(definition.mtu.at),
      });
      return;
    }
    case "HostNetworkConfig": {
      const resource = readHostNetworkConfig(check);
      if (resource) into.hostNetworks.push({ resource, at: source.at });
      return;
    }
    case undefined:
  }
}

function nameOf(resource: unknown): string | undefined {
  const metadata = isObject(resource) ? resource.metadata : undefined;
  const name = isObject(metadata) ? metadata.name : undefined;
  return typeof name === "string" ? name : undefined;
}

/** undefined, and an error, if the document is of no kind that is read here. */
function kindOf(source: Source, errors: PortwrightError[]): Kind | undefined {
  const refuse = (code: "INTENT_INVALID" | "INTENT_UNKNOWN_KIND", message: string, path: Path): undefined => {
    errors.push(new PortwrightError(code, message, { place: source.at(path) }));
  };
  const { value } = source;
  if (!isObject(value)) {
    return refuse(
      "INTENT_INVALID",
      `the document must be a map with apiVersion, kind and metadata, not ${show(value)}`,
      [],
    );
  }
  const { apiVersion, kind } = value;
  if (typeof kind !== "string") {
    if (kind === undefined) return refuse("INTENT_INVALID", "kind is missing", []);
    return refuse("INTENT_INVALID", `kind must be text, not ${show(kind)}`, ["kind"]);
  }
  if (!isKind(kind)) {
    const known = Object.keys(kindSchemas).join(", ");
    return refuse("INTENT_UNKNOWN_KIND", `kind ${show(kind)} is not read here; known: ${known}`, ["kind"]);
  }
  const wanted = kindSchemas[kind].properties.apiVersion.const;
  if (apiVersion === wanted) return kind;
  if (apiVersion === undefined) return refuse("INTENT_INVALID", `apiVersion is missing: ${kind} has ${wanted}`, []);
  return refuse("INTENT_UNKNOWN_KIND", `${kind} has apiVersion ${wanted}, not ${show(apiVersion)}`, ["apiVersion"]);
}
