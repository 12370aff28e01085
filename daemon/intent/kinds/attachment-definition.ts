/** NetworkAttachmentDefinition: a Network in Harvester's form, its parts spread over config, labels and an annotation. */
import type { PortwrightError } from "../../errors.ts";
import type { Network, NetworkRoute, NetworkType } from "../../model/resources.ts";
import { VlanSet } from "../../model/vlan-set.ts";
import { attachmentDefinitionSchema, bridgeConfigSchema } from "../schemas/network-attachment-definition.ts";
import { routeAnnotationSchema } from "../schemas/route.ts";
import { type Path, readEmbeddedJson } from "../source.ts";
import { Check, show } from "../validate.ts";
import { readRoute } from "./route.ts";
import { readTrunk } from "./trunk.ts";

const GROUP = "network.harvesterhci.io";
const CONFIG: Path = ["spec", "config"];
const ROUTE: Path = ["metadata", "annotations", `${GROUP}/route`];

/** `mtu` is not the network's to choose: it is kept to be compared with the uplink's. */
export interface AttachmentDefinition {
  readonly network: Network;
  readonly mtu: { readonly value: number; readonly at: Path };
  readonly config: Check;
}

export function readAttachmentDefinition(check: Check, errors: PortwrightError[]): AttachmentDefinition | undefined {
  const definition = check.read(attachmentDefinitionSchema);
  if (definition === undefined) return undefined;
  const { metadata } = definition;
  const source = readEmbeddedJson(check.source, CONFIG, "spec.config", errors);
  const route = readRouteAnnotation(check, errors);
  if (source === null) return undefined;
  const config = new Check(source, errors, "spec.config");
  const raw = config.read(bridgeConfigSchema);
  if (raw === undefined) return undefined;
  const vlan = raw.vlan ?? 0;
  const hasTrunk = raw.vlanTrunk !== undefined && raw.vlanTrunk.length > 0;
  if (hasTrunk && vlan !== 0) config.refuse(["vlan"], `must be 0 beside vlanTrunk, not ${vlan}`);
  if (raw.hairpinMode && raw.promiscMode) config.refuse(["hairpinMode"], "cannot be set together with promiscMode");
  const trunk = hasTrunk ? readTrunk(config, raw.vlanTrunk ?? [], ["vlanTrunk"]) : VlanSet.empty;
  const type: NetworkType = hasTrunk ? "L2VlanTrunkNetwork" : vlan === 0 ? "UntaggedNetwork" : "L2VlanNetwork";
  if (hasTrunk && route !== undefined) check.refuse(ROUTE, "has no meaning for a trunk: it is many networks");

  const labels = metadata.labels ?? {};
  const label = (name: string, wanted: string, why: string): void => {
    const found = labels[`${GROUP}/${name}`];
    if (found === undefined || found === wanted) return;
    check.refuse(["metadata", "labels", `${GROUP}/${name}`], `must be ${show(wanted)} ${why}, not ${show(found)}`);
  };
  label("type", type, "by spec.config");
  label("vlan-id", String(vlan), "by spec.config");
  const byBridge = raw.bridge?.slice(0, -"-br".length);
  if (byBridge !== undefined) label("clusternetwork", byBridge, `by the bridge ${raw.bridge}`);
  const clusterNetwork = byBridge ?? labels[`${GROUP}/clusternetwork`];
  if (clusterNetwork === undefined) {
    config.refuse([], `has no bridge, and there is no label ${GROUP}/clusternetwork`);
    return undefined;
  }
  const network: Network = {
    name: `${metadata.namespace ?? "default"}/${metadata.name}`,
    clusterNetwork,
    type,
    vlan,
    trunk,
    ...(route === undefined ? {} : { route }),
    portIsolation: raw.portIsolation ?? false,
    fdbLimit: 0,
    place: check.source.at([]),
  };
  return { network, mtu: { value: raw.mtu ?? 0, at: ["mtu"] }, config };
}

function readRouteAnnotation(check: Check, errors: PortwrightError[]): NetworkRoute | undefined {
  if (check.source.textAt(ROUTE)?.text === "") return undefined;
  const source = readEmbeddedJson(check.source, ROUTE, `the annotation ${GROUP}/route`, errors);
  if (source === null) return undefined;
  const route = new Check(source, errors, `the annotation ${GROUP}/route`);
  const raw = route.read(routeAnnotationSchema);
  return raw && readRoute(route, raw, [], false);
}
