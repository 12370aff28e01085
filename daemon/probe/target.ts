/** What is probed, and whether it can be. Pure. */
import { contains, parseCidr, parseIp } from "../model/ip.ts";
import { isStationMac } from "../model/mac.ts";

export interface ProbeTarget {
  /** names the target: one a network */
  readonly network: string;
  readonly clusterNetwork: string;
  /** 1..4094, also for the native VLAN, which the switch takes tagged from its probe port; 0: send untagged */
  readonly vlan: number;
  readonly gateway: string;
  readonly cidr: string;
  /** source of ICMP echoes; without it only ARP is probed */
  readonly probeAddress?: string | undefined;
  /** the inner end of the cluster network's probe veth; 0: there is none yet */
  readonly innerIfindex: number;
  /** of the inner end */
  readonly mac: string;
  readonly uplinkHasCarrier: () => boolean;
}

/** Why the target cannot be probed at all, as a sentence; null if it can. */
export function targetFault(target: ProbeTarget): string | null {
  const { clusterNetwork, vlan, gateway, cidr, probeAddress, innerIfindex, mac } = target;
  if (parseIp(gateway)?.family !== 4) return `gateway ${gateway} is not an IPv4 address`;
  if (!Number.isInteger(vlan) || vlan < 0 || vlan > 4094) return `VLAN ${vlan} is out of range`;
  if (probeAddress !== undefined) {
    const source = parseIp(probeAddress);
    if (source?.family !== 4) return `probe address ${probeAddress} is not an IPv4 address`;
    if (probeAddress === gateway) return `probe address ${probeAddress} is the gateway's`;
    const subnet = parseCidr(cidr);
    if (subnet !== null && !contains(subnet, source)) return `probe address ${probeAddress} is not in ${cidr}`;
  }
  if (innerIfindex <= 0) return `cluster network ${clusterNetwork} has no probe port`;
  if (!isStationMac(mac)) return `the probe port's MAC address ${mac} is not usable`;
  return null;
}

/** Whether two targets ask the same, so that what was counted for one holds for the other. */
export function sameQuestion(a: ProbeTarget, b: ProbeTarget): boolean {
  return (
    a.network === b.network &&
    a.clusterNetwork === b.clusterNetwork &&
    a.vlan === b.vlan &&
    a.gateway === b.gateway &&
    a.probeAddress === b.probeAddress
  );
}
