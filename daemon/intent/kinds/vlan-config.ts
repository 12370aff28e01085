/** VlanConfig: which NICs carry a cluster network. */
import { DEFAULT_NATIVE_VLAN, type VlanConfig } from "../../model/resources.ts";
import { vlanConfigSchema } from "../schemas/vlan-config.ts";
import type { Check } from "../validate.ts";
import { readBondOptions } from "./bond-options.ts";

export function readVlanConfig(check: Check): VlanConfig | undefined {
  const raw = check.read(vlanConfigSchema);
  if (raw === undefined) return undefined;
  const { metadata, spec } = raw;
  const { nics, linkAttributes = {}, bondOptions = {}, nativeVlan = DEFAULT_NATIVE_VLAN } = spec.uplink;
  nics.forEach((nic, index) => {
    const path = ["spec", "uplink", "nics", index];
    if (nics.indexOf(nic) !== index) check.refuse(path, `names ${nic} again`, "INTENT_DUPLICATE");
  });
  const hardwareAddress = (linkAttributes.hardwareAddr ?? "").toLowerCase();
  return {
    name: metadata.name,
    clusterNetwork: spec.clusterNetwork,
    description: spec.description ?? "",
    nodeSelector: spec.nodeSelector ?? {},
    uplink: {
      nics,
      mtu: linkAttributes.mtu ?? 0,
      txQueueLength: linkAttributes.txQLen ?? -1,
      hardwareAddress,
      bond: readBondOptions(check, bondOptions, nics, hardwareAddress),
      nativeVlan,
    },
    place: check.source.at([]),
  };
}
