/** Bonds of the simulated host: what the kernel refuses, and what it does on the side. */
import type { Link, LinkData, LinkSettings } from "../../daemon/kernel/kernel.ts";
import {
  ABSENT_BOND_DATA,
  bondModes,
  bondOptions,
  DELAYS,
  hasPrimary,
  needOf,
} from "../../daemon/model/bond-options.ts";
import { set } from "./simulate.ts";

/** As in a report: what is at its default and left out there, is left out. */
export function reported(data: LinkData): LinkData {
  return Object.fromEntries(Object.entries(data).filter(([key, value]) => ABSENT_BOND_DATA[key] !== value));
}

export function changeBond(bond: Link, settings: LinkSettings, links: readonly Link[]): Link[] {
  const { data = {}, ...flat } = settings;
  const members = links.filter((l) => l.master === bond.ifindex);
  const changing = Object.entries(data).filter(([key, value]) => bond.data[key] !== value);
  for (const [key] of changing) {
    if (needOf(key) === "down" && bond.up) throw new Error(`EBUSY ${key} of ${bond.name}: it is up`);
    if (needOf(key) === "empty" && members.length > 0) throw new Error(`ENOTEMPTY ${key} of ${bond.name}`);
    if (key === "mode" && bond.up) throw new Error(`EBUSY mode of ${bond.name}: it is up`);
  }
  const after = { ...bond, data: options(bond.data, data) };
  return links.map((l) => {
    if (l === bond) return set(after, flat);
    return l.master === bond.ifindex && flat.mtu !== undefined ? set(l, { mtu: flat.mtu }) : l;
  });
}

/** In the order of bond_changelink(). */
function options(before: LinkData, change: LinkData): LinkData {
  const data: Record<string, LinkData[string]> = { ...before };
  if (change["mode"] !== undefined && change["mode"] !== before["mode"]) {
    data["mode"] = change["mode"];
    data["arpValidate"] = 0;
    if (Number(change["mode"]) >= 4) Object.assign(data, { arpInterval: 0, miimon: Number(data["miimon"]) || 100 });
  }
  const mode = bondModes[Number(data["mode"])] ?? "balance-rr";
  const was = Number(data["miimon"]);
  if (change["miimon"] !== undefined) {
    data["miimon"] = change["miimon"];
    for (const delay of DELAYS) data[delay] = was === 0 ? 0 : (Number(data[delay]) / was) * Number(change["miimon"]);
    if (change["miimon"] !== 0) data["arpInterval"] = 0;
  }
  for (const [key, value] of Object.entries(change)) {
    if (key === "mode" || key === "miimon") continue;
    const option = bondOptions.find(({ attribute }) => attribute === key);
    if (option && !option.modes.includes(mode)) throw new Error(`EACCES ${key} in mode ${mode}`);
    if (key === "primary" && !hasPrimary(mode)) throw new Error(`EACCES primary in mode ${mode}`);
    const isDelay = (DELAYS as readonly string[]).includes(key);
    if (isDelay && data["miimon"] === 0) throw new Error(`EPERM ${key} without miimon`);
    if (isDelay && Number(value) % Number(data["miimon"]) !== 0) throw new Error(`${key} would be rounded`);
    if (key === "arpInterval" && Number(value) > 0) {
      if (Number(change["miimon"] ?? 0) > 0) throw new Error("EINVAL arpInterval with miimon");
      data["miimon"] = 0;
    }
    data[key] = value;
  }
  return reported(data);
}

export function enslave(nic: Link, bond: Link, links: readonly Link[]): Link[] {
  if (nic.master === bond.ifindex) return [...links];
  const first = !links.some((l) => l.master === bond.ifindex);
  const own = nic.master === 0 ? { permanentMac: nic.mac, originalMtu: nic.mtu } : nic.memberData;
  const bondMac = first && bond.memberData["macIsSet"] !== true ? nic.mac : bond.mac;
  return links.map((l) => {
    if (l.ifindex === bond.ifindex) return { ...l, mac: bondMac };
    if (l !== nic) return l;
    const entered = set({ ...l, up: false }, { mtu: bond.mtu, mac: bondMac });
    return { ...entered, up: true, master: bond.ifindex, masterKind: "bond", memberData: { ...own, miiStatus: 0 } };
  });
}

export function release(nic: Link, bond: Link, links: readonly Link[], up: boolean): Link[] {
  if (nic.master !== bond.ifindex) return [...links];
  const last = links.filter((l) => l.master === bond.ifindex).length === 1;
  const { permanentMac, originalMtu } = nic.memberData;
  return links.map((l) => {
    if (l.ifindex === bond.ifindex) return last ? { ...l, mac: "06:ff:ff:00:00:00", memberData: {} } : l;
    if (l !== nic) return l;
    const mac = String(permanentMac ?? l.mac);
    return { ...l, up, master: 0, masterKind: "", memberData: {}, mac, mtu: Number(originalMtu ?? l.mtu) };
  });
}
