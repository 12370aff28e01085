/**
 * The veth by which this host's probes enter a switch: `<cn>-pp` is a port, `<cn>-pi` is where the daemon sends and
 * receives. Neither end has addresses: the host's own stack neither asks nor answers there.
 */
import type { LinkCreate, LinkSettings } from "../kernel/kernel.ts";
import { probeLinkNames } from "../model/resources.ts";
import { probeAlias, type TargetLink } from "../model/target.ts";
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
    mac: "",
    txQueueLength: -1,
    promiscuous: false,
    noArp: true,
    data: {},
    clusterNetwork,
  });
  return { port: { ...end(names.port), peer: { name: names.inner, mtu } }, inner: end(names.inner) };
}

export function vethSettings(link: TargetLink): Comparable {
  return { up: link.up, alias: link.alias, mtu: link.mtu, noArp: link.noArp };
}

export function createVeth(link: TargetLink): LinkCreate {
  const peer = link.peer && { name: link.peer.name, mtu: link.peer.mtu };
  return { name: link.name, kind: "veth", noIpv6LinkLocal: true, ...vethSettings(link), ...(peer ? { peer } : {}) };
}

/** What the other end gets after birth: the kernel refuses a peer that is born up (ENOTCONN). */
export function vethPeerSettings(link: TargetLink): LinkSettings | undefined {
  if (link.peer === undefined) return undefined;
  return { noIpv6LinkLocal: true, ...vethSettings(link), mtu: link.peer.mtu };
}
