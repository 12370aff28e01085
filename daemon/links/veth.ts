/**
 * Pairs whose ends are both on the host. The one by which this host's probes enter a switch: `<cn>-pp` is a port, `<cn>-pi`
 * is where the daemon sends and receives; neither end has addresses, and the host's own stack neither asks nor answers
 * there. And the one by which the host has an interface in a VLAN: `<cn>-h.<vid>` is an access port, `<cn>-br.<vid>` has the
 * host's addresses.
 */
import type { LinkCreate, LinkSettings } from "../kernel/kernel.ts";
import { hostLinkNames, probeLinkNames } from "../model/resources.ts";
import { hostAlias, PLAIN_LINK, probeAlias, type TargetLink } from "../model/target.ts";
import type { Comparable } from "./settings.ts";

export function probePair(
  clusterNetwork: string,
  mtu: number,
): { readonly port: TargetLink; readonly inner: TargetLink } {
  const names = probeLinkNames(clusterNetwork);
  const end = (name: string): TargetLink => ({
    name,
    kind: "veth",
    alias: probeAlias(clusterNetwork),
    up: true,
    mtu,
    ...PLAIN_LINK,
    noArp: true,
    clusterNetwork,
  });
  const peer = { name: names.inner, mtu, mac: "", noArp: true };
  return { port: { ...end(names.port), peer }, inner: end(names.inner) };
}

export function hostPair(
  clusterNetwork: string,
  vlan: number,
  mtu: number,
  mac: string,
): { readonly port: TargetLink; readonly device: TargetLink } {
  const names = hostLinkNames(clusterNetwork, vlan);
  const end = {
    kind: "veth",
    alias: hostAlias(clusterNetwork, vlan),
    up: true,
    mtu,
    ...PLAIN_LINK,
    clusterNetwork,
  } as const;
  const peer = { name: names.device, mtu, mac, noArp: false };
  return {
    port: { ...end, name: names.port, noArp: true, peer },
    device: { ...end, name: names.device, mac },
  };
}

export function vethSettings(link: TargetLink): Comparable {
  const mac = link.mac === "" ? {} : { mac: link.mac };
  return { up: link.up, alias: link.alias, mtu: link.mtu, noArp: link.noArp, ...mac };
}

export function createVeth(link: TargetLink): LinkCreate {
  const { name, peer } = link;
  const own = { name, kind: "veth", noIpv6LinkLocal: link.noArp, ...vethSettings(link) } as const;
  if (peer === undefined) return own;
  return { ...own, peer: { name: peer.name, mtu: peer.mtu, ...(peer.mac === "" ? {} : { mac: peer.mac }) } };
}

/** What the other end gets after birth: the kernel refuses a peer that is born up (ENOTCONN). */
export function vethPeerSettings(link: TargetLink): LinkSettings | undefined {
  if (link.peer === undefined) return undefined;
  const { mtu, noArp } = link.peer;
  return { noIpv6LinkLocal: noArp, alias: link.alias, up: link.up, mtu, noArp };
}
