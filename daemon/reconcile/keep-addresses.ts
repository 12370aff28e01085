/**
 * Addresses and routes over a moment in which their link is down. The kernel keeps IPv4 addresses then, and forgets
 * IPv6 addresses and the routes of either family (addrconf_ifdown, fib_disable_ip): what is missing afterwards comes
 * back as it was.
 */
import { isKernelError } from "../kernel/kernel-error.ts";
import type { Address, Link, LinkSettings, Namespace, Route } from "../kernel/kernel.ts";
import { isLinkLocal, parseIp } from "../model/ip.ts";

/** uapi/linux/if_addr.h: it was made by the kernel itself if it is not permanent. */
const IFA_F_PERMANENT = 0x80;
/** RTPROT_KERNEL and RTPROT_RA: they come by themselves. */
const BY_THEMSELVES = new Set([2, 9]);

interface Kept {
  readonly addresses: readonly Address[];
  readonly routes: readonly Route[];
}

export class AddressKeeper {
  readonly #namespace: Namespace;
  readonly #kept = new Map<string, Kept>();

  constructor(namespace: Namespace) {
    this.#namespace = namespace;
  }

  /** Before a change of the link. */
  async before(name: string, after: LinkSettings): Promise<void> {
    if (after.up !== false || this.#kept.has(name)) return;
    const links = await this.#namespace.links();
    const affected = new Set(upward(name, links));
    const addresses = (await this.#namespace.addresses()).filter((address) => {
      return affected.has(address.ifindex) && (address.flags & IFA_F_PERMANENT) !== 0 && !isOwnLinkLocal(address);
    });
    if (addresses.length === 0) return;
    const routes = (await this.#namespace.routes()).filter((route) => {
      return affected.has(route.ifindex ?? 0) && !BY_THEMSELVES.has(route.protocol);
    });
    this.#kept.set(name, { addresses, routes });
  }

  /** After it: once the link is up again. */
  async after(name: string, after: LinkSettings): Promise<void> {
    const kept = this.#kept.get(name);
    if (after.up !== true || kept === undefined) return;
    this.#kept.delete(name);
    const { addresses, routes } = kept;
    for (const address of addresses) await orThere(this.#namespace.addAddress({ ...address, noDad: true }));
    for (const { family: _family, protocol: _protocol, ...route } of byGateway(routes)) {
      await orThere(this.#namespace.addRoute(route));
    }
  }
}

/** The link and what stands on it, which goes down with it. */
function upward(name: string, links: readonly Link[]): readonly number[] {
  const found = links.filter((link) => link.name === name).map(({ ifindex }) => ifindex);
  for (const ifindex of found) {
    const above = links.filter((link) => link.link === ifindex && link.linkNetnsId < 0 && link.kind !== "veth");
    for (const link of above) if (!found.includes(link.ifindex)) found.push(link.ifindex);
  }
  return found;
}

/** A gateway must be reachable before a route by it is taken. */
function byGateway(routes: readonly Route[]): readonly Route[] {
  return [...routes].sort((a, b) => Number(a.gateway !== undefined) - Number(b.gateway !== undefined));
}

async function orThere(done: Promise<void>): Promise<void> {
  try {
    await done;
  } catch (error) {
    if (!isKernelError(error, "EEXIST")) throw error;
  }
}

function isOwnLinkLocal({ address }: Address): boolean {
  const ip = parseIp(address);
  return ip !== null && isLinkLocal(ip);
}
