/** The container's side of an attachment: addresses and routes set, announced, and compared with what they should be. */
import { allEnded } from "../async/all-ended.ts";
import { isKernelError } from "../kernel/kernel-error.ts";
import type { Link, Namespace, RouteSpec } from "../kernel/kernel.ts";
import { PortwrightError } from "../errors.ts";
import type { AttachmentIp, AttachmentRoute } from "../model/attachment.ts";
import { familyOf, parseCidr, sameIp } from "../model/ip.ts";
import { announcement } from "./announce.ts";
import { settleAddresses } from "./dad.ts";
import type { CniIp, CniResult, CniRoute } from "./result.ts";

export interface ContainerPort {
  readonly ifindex: number;
  readonly name: string;
  readonly mac: string;
  /** of the link: a veth's end, or a tap (device "inner-tap") */
  readonly kind: "veth" | "tun";
}

const RT_SCOPE_LINK = 253;

export function attachmentIps(result: Pick<CniResult, "ips">): readonly AttachmentIp[] {
  return result.ips.map(({ address, gateway }) => ({ ...requireCidr(address), ...(gateway ? { gateway } : {}) }));
}

export function attachmentRoutes(result: Pick<CniResult, "ips" | "routes">): readonly AttachmentRoute[] {
  return result.routes.map((route) => attachmentRoute(route, result.ips));
}

/** A route without a gateway of its own goes by the gateway of the first address of its family. */
function attachmentRoute(route: CniRoute, ips: readonly CniIp[]): AttachmentRoute {
  const cidr = requireCidr(route.dst);
  const gateway = route.gw ?? gatewayFor(familyOf(cidr.address), ips);
  return { destination: cidr.address, prefixLength: cidr.prefixLength, ...(gateway ? { gateway } : {}) };
}

/** Sets addresses, then routes. All is handed to the namespace's thread at once: it keeps the order. */
export async function configureContainer(
  namespace: Namespace,
  port: ContainerPort,
  result: Pick<CniResult, "ips" | "routes">,
  dad: boolean,
): Promise<void> {
  const routes = routeSpecs(port.ifindex, result);
  const ips = attachmentIps(result);
  const steps: Promise<void>[] = [];
  // An address cannot be set while a sysctl keeps IPv6 off the interface. A kernel without IPv6 has no such key, and
  // refuses the address with a better text.
  if (ips.some((ip) => familyOf(ip.address) === 6))
    steps.push(unlessCode("ENOENT", namespace.writeSysctl(`net/ipv6/conf/${port.name}/disable_ipv6`, "0")));
  // Detection is on if the interface's key or that of all interfaces says so; both may be 0 (ip-sysctl, accept_dad).
  if (dad) steps.push(unlessCode("ENOENT", namespace.writeSysctl(`net/ipv6/conf/${port.name}/accept_dad`, "1")));
  for (const { address, prefixLength } of ips) {
    // IPAM vouches for the address unless asked not to: without this an IPv6 one would be useless for the second that detection takes.
    const noDad = familyOf(address) === 6 && !dad;
    steps.push(namespace.addAddress({ ifindex: port.ifindex, address, prefixLength, ...(noDad ? { noDad } : {}) }));
  }
  // Of equal routes the first one counts, as with the stock plugins.
  for (const route of routes) steps.push(unlessCode("EEXIST", namespace.addRoute(route)));
  await allEnded(steps);
  if (dad) await settleAddresses(namespace, port.ifindex, ips);
}

function routeSpecs(ifindex: number, result: Pick<CniResult, "ips" | "routes">): readonly RouteSpec[] {
  return result.routes.map((route) => {
    if (route.advmss !== undefined)
      throw new PortwrightError(
        "IPAM_FAILED",
        `route ${route.dst} of the IPAM result has advmss, which is not supported`,
      );
    const spec = { ...attachmentRoute(route, result.ips), ifindex, ...routeExtras(route) };
    return spec.gateway === undefined && spec.scope === undefined && familyOf(spec.destination) === 4
      ? { ...spec, scope: RT_SCOPE_LINK }
      : spec;
  });
}

function routeExtras({ priority, mtu, table, scope }: CniRoute): Partial<RouteSpec> {
  return {
    ...(priority === undefined ? {} : { metric: priority }),
    ...(mtu === undefined ? {} : { mtu }),
    ...(table === undefined ? {} : { table }),
    ...(scope === undefined ? {} : { scope }),
  };
}

/** Gratuitous ARP and unsolicited neighbour advertisements. */
export async function announceContainer(
  namespace: Namespace,
  port: ContainerPort,
  ips: readonly AttachmentIp[],
): Promise<void> {
  if (ips.length === 0) return;
  await namespace.transmit(
    port.ifindex,
    ips.map(({ address }) => announcement(port.mac, address)),
  );
}

/**
 * What differs, each a sentence. Plugins later in the chain may have renamed the interface, changed its MAC, moved its
 * addresses to another one (KubeVirt does all three) or added things: only what is missing counts.
 */
export async function checkContainer(
  namespace: Namespace,
  port: ContainerPort & { readonly mayBeDown: boolean },
  routes: readonly AttachmentRoute[],
  prevResult: CniResult,
  sandbox: string,
): Promise<readonly string[]> {
  const [links, addresses, found] = await Promise.all([
    namespace.links(),
    namespace.addresses(),
    routes.length > 0 ? namespace.routes() : [],
  ]);
  const link = findPort(links, port);
  if (link === undefined)
    return [`the container has no interface ${port.name} with index ${port.ifindex} or MAC ${port.mac}`];
  const differences: string[] = [];
  if (!link.up && !port.mayBeDown) differences.push(`${link.name} in the container is down`);

  const renamed = link.name !== port.name;
  for (const ip of expectedIps(prevResult, port.name, sandbox)) {
    const { address, prefixLength } = requireCidr(ip.address);
    const present = addresses.some(
      (have) =>
        (renamed || ip.interface === undefined || have.ifindex === link.ifindex) &&
        have.prefixLength === prefixLength &&
        sameIp(have.address, address),
    );
    if (!present) differences.push(`${link.name} in the container lacks the address ${ip.address}`);
  }
  const stillWanted = new Set(prevResult.routes.map((route) => route.dst));
  for (const route of routes) {
    const dst = `${route.destination}/${route.prefixLength}`;
    if (!stillWanted.has(dst)) continue;
    const present = found.some(
      (have) => have.prefixLength === route.prefixLength && sameIp(have.destination, route.destination),
    );
    if (!present) differences.push(`the container lacks the route to ${dst}`);
  }
  return differences;
}

/** By index; by MAC if the index is another device's now. */
function findPort(links: readonly Link[], port: ContainerPort): Link | undefined {
  const ours = links.filter((link) => link.kind === port.kind);
  return ours.find((link) => link.ifindex === port.ifindex) ?? ours.find((link) => link.mac === port.mac);
}

function expectedIps(result: CniResult, name: string, sandbox: string): readonly CniIp[] {
  return result.ips.filter((ip) => {
    if (ip.interface === undefined) return true;
    const on = result.interfaces[ip.interface];
    return on !== undefined && on.name === name && on.sandbox === sandbox;
  });
}

function gatewayFor(family: 4 | 6, ips: readonly CniIp[]): string | undefined {
  return ips.find((ip) => ip.gateway !== undefined && familyOf(ip.gateway) === family)?.gateway;
}

function requireCidr(text: string): { readonly address: string; readonly prefixLength: number } {
  const cidr = parseCidr(text);
  if (cidr === null)
    throw new PortwrightError("IPAM_FAILED", `${JSON.stringify(text)} is not an address with prefix length`);
  return { address: text.slice(0, text.lastIndexOf("/")), prefixLength: cidr.prefixLength };
}

async function unlessCode(code: string, work: Promise<void>): Promise<void> {
  try {
    await work;
  } catch (error) {
    if (!isKernelError(error, code)) throw error;
  }
}
