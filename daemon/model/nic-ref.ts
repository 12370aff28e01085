/** How an intent names a NIC: by name or alternative name, by permanent MAC, by PCI path. Pure. */
import type { Link } from "../kernel/kernel.ts";
import { macFault } from "./mac.ts";
import { interfaceNameFault } from "./names.ts";

export type NicRef =
  | { readonly by: "name"; readonly name: string }
  | { readonly by: "mac"; readonly mac: string }
  | { readonly by: "pci"; readonly path: string };

/** The kernel refuses a colon in a name (dev_valid_name), so that no name looks like one of the other two. */
export function parseNicRef(text: string): NicRef | null {
  if (text.startsWith("mac:")) {
    const mac = text.slice(4).toLowerCase();
    return macFault(mac) === null ? { by: "mac", mac } : null;
  }
  if (text.startsWith("pci:")) {
    const path = text.slice(4).toLowerCase();
    return /^[0-9a-f]{4,8}:[0-9a-f]{2}:[0-1][0-9a-f]\.[0-7]$/.test(path) ? { by: "pci", path } : null;
  }
  return interfaceNameFault(text) === null && text !== "lo" ? { by: "name", name: text } : null;
}

/** Devices on top of others have the MAC address of what is below. */
const STACKED = new Set(["bond", "bridge", "ipvlan", "macvlan", "macvtap", "team", "vlan", "vrf", "vxlan"]);

export function isNic(text: string, link: Link): boolean {
  const ref = parseNicRef(text);
  switch (ref?.by) {
    case "name":
      return link.name === ref.name || link.altNames.includes(ref.name);
    case "mac":
      return !STACKED.has(link.kind) && permanentMac(link) === ref.mac;
    case "pci":
      return link.pciPath === ref.path;
    default:
      return false;
  }
}

/** All links that it could mean: a name of its own comes before an alternative one. */
export function findNics(text: string, links: readonly Link[]): readonly Link[] {
  const found = links.filter((link) => isNic(text, link));
  const named = found.find((link) => link.name === text);
  return named === undefined ? found : [named];
}

/** A member of a bond has the bond's address; the bond remembers what it had before. */
export function permanentMac(link: Link): string {
  const before = link.memberData["permanentMac"];
  return link.permanentMac || (typeof before === "string" ? before : link.mac);
}
