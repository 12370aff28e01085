/** Options of the bridge plugin that are switched on and off, and which of them exclude each other. Pure. */
import type { PortFeatures } from "../model/attachment.ts";
import { DEFAULT_VLAN, type PortVlans } from "../model/port.ts";
import type { Fields } from "./decode.ts";

export type SwitchedFeatures = Pick<PortFeatures, "hairpin" | "spoofCheck" | "gated" | "containerDown">;

export function parseFeatures(conf: Fields): SwitchedFeatures {
  const hairpin = conf.boolean("hairpinMode") ?? false;
  if (hairpin && conf.boolean("promiscMode") === true)
    throw conf.refuse("promiscMode", "contradicts hairpinMode: a bridge takes either");
  return {
    hairpin,
    spoofCheck: conf.boolean("macspoofchk") ?? false,
    gated: conf.boolean("gated") ?? false,
    containerDown: parseContainerDown(conf),
  };
}

/** Addresses and routes need an interface that is up. */
function parseContainerDown(conf: Fields): boolean {
  const down = conf.boolean("disableContainerInterface") ?? false;
  if (down && conf.object("ipam")?.string("type"))
    throw conf.refuse("disableContainerInterface", "contradicts ipam: an interface that stays down has no addresses");
  return down;
}

/**
 * A port of a bridge with default_pvid 1 begins in VLAN 1, untagged, and the stock plugin leaves it there: VLAN 1 goes
 * on leaving the port, and is its PVID unless `vlan` takes that.
 */
export function preserveDefaultVlan(conf: Fields, vlans: PortVlans): PortVlans {
  if (conf.boolean("preserveDefaultVlan") !== true) return vlans;
  switch (vlans.mode) {
    case "untagged":
      return vlans;
    case "access":
      return vlans.vlan === DEFAULT_VLAN ? vlans : { ...vlans, defaultVlan: true };
    case "trunk":
      if (vlans.tagged.has(DEFAULT_VLAN))
        throw conf.refuse("preserveDefaultVlan", `keeps VLAN ${DEFAULT_VLAN} untagged, and vlanTrunk has it tagged`);
      if (vlans.native === 0) return { ...vlans, native: DEFAULT_VLAN };
      return vlans.native === DEFAULT_VLAN ? vlans : { ...vlans, defaultVlan: true };
  }
}
