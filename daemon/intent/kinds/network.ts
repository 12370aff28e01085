/** Network: what workloads attach to, in our short form. */
import type { Network } from "../../model/resources.ts";
import { VlanSet } from "../../model/vlan-set.ts";
import { networkSchema } from "../schemas/network.ts";
import type { Check } from "../validate.ts";
import { readRoute } from "./route.ts";
import { readTrunk } from "./trunk.ts";

export function readNetwork(check: Check): Network | undefined {
  const raw = check.read(networkSchema);
  if (raw === undefined) return undefined;
  const { metadata, spec } = raw;
  const vlan = spec.vlan ?? 0;
  if (spec.type === "L2VlanNetwork") {
    if (spec.vlan === undefined) check.refuse(["spec"], "has type L2VlanNetwork and no vlan");
    else if (vlan === 0) check.refuse(["spec", "vlan"], "must be 1 to 4094 for an L2VlanNetwork, not 0");
  } else if (vlan !== 0) {
    check.refuse(["spec", "vlan"], `must be 0 or absent for an ${spec.type}, not ${vlan}`);
  }
  let trunk = VlanSet.empty;
  if (spec.type === "L2VlanTrunkNetwork") {
    if (spec.trunk === undefined) check.refuse(["spec"], "has type L2VlanTrunkNetwork and no trunk");
    else if (spec.trunk.length === 0) check.refuse(["spec", "trunk"], "must name at least one VLAN");
    else trunk = readTrunk(check, spec.trunk, ["spec", "trunk"]);
    if (spec.route !== undefined) check.refuse(["spec", "route"], "has no meaning for a trunk: it is many networks");
  } else if (spec.trunk !== undefined) {
    check.refuse(["spec", "trunk"], `has no meaning for an ${spec.type}`);
  }
  const route = spec.route && readRoute(check, spec.route, ["spec", "route"], true);
  return {
    name: metadata.name,
    clusterNetwork: spec.clusterNetwork,
    type: spec.type,
    vlan,
    trunk,
    ...(route === undefined ? {} : { route }),
    portIsolation: spec.portIsolation ?? false,
    fdbLimit: spec.fdbLimit ?? 0,
    place: check.source.at([]),
  };
}
