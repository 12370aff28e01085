/** The NICs of an uplink as they are: which are there, which carry. Pure. */
import type { Link } from "../kernel/kernel.ts";
import { isTrusted } from "../links/bond.ts";
import { type BondMode, bondModes } from "../model/bond-options.ts";
import { findNics, permanentMac } from "../model/nic-ref.ts";
import { bondName, type VlanConfig } from "../model/resources.ts";
import type { MemberState, MemberStatus } from "../model/status.ts";
import { isOurs } from "../model/target.ts";

/** BOND_STATE_BACKUP, uapi/linux/if_bonding.h */
const BACKUP = 1;
const NOBODY = "00:00:00:00:00:00";

export function bondModeOf(clusterNetwork: string, links: readonly Link[]): BondMode | "" {
  return bondModes[Number(ourBond(clusterNetwork, links)?.data["mode"] ?? -1)] ?? "";
}

/** `uplink`: name of the link that is it; empty: none */
export function memberStatuses(
  vlanConfig: VlanConfig | undefined,
  uplink: string,
  links: readonly Link[],
): readonly MemberStatus[] {
  if (vlanConfig === undefined) return [];
  const bond = ourBond(vlanConfig.clusterNetwork, links);
  const wanted = vlanConfig.uplink.nics.map((text) => {
    // Several that it could mean are as none: the condition says so.
    const [nic, ...others] = findNics(text, links);
    return { text, nic: others.length === 0 ? nic : undefined };
  });
  const listed = new Set(wanted.map(({ nic }) => nic?.ifindex));
  const leaving = links.filter(
    (link) => bond !== undefined && link.master === bond.ifindex && !listed.has(link.ifindex),
  );
  return [...wanted, ...leaving.map((nic) => ({ text: "", nic }))].map(({ text, nic }) => {
    if (nic === undefined) return { nic: text, device: "", state: "absent", mac: "", partner: "", failures: 0 };
    return {
      nic: text,
      device: nic.name,
      state: bond === undefined ? stateAlone(nic, uplink) : stateInBond(nic, bond),
      mac: permanentMac(nic),
      partner: partnerOf(nic, bond),
      failures: Number(nic.memberData["linkFailureCount"] ?? 0),
    };
  });
}

function ourBond(clusterNetwork: string, links: readonly Link[]): Link | undefined {
  return links.find((link) => link.name === bondName(clusterNetwork) && link.kind === "bond" && isOurs(link));
}

function stateAlone(nic: Link, uplink: string): MemberState {
  if (nic.name !== uplink) return "refused";
  if (!nic.up) return "down";
  return nic.carrier ? "active" : "no-carrier";
}

function stateInBond(nic: Link, bond: Link): MemberState {
  if (nic.master !== bond.ifindex) return "refused";
  if (!nic.up) return "down";
  if (!nic.carrier) return "no-carrier";
  if (!isTrusted(nic, bond)) return "waiting";
  return nic.memberData["state"] === BACKUP ? "backup" : "active";
}

/** The bond tells the partner of the aggregator that it uses. */
function partnerOf(nic: Link, bond: Link | undefined): string {
  const mac = bond?.data["adPartnerMac"];
  if (bond === undefined || typeof mac !== "string" || mac === NOBODY) return "";
  const aggregator = nic.memberData["adAggregator"];
  return aggregator !== undefined && aggregator === bond.data["adAggregator"] ? mac : "";
}
