/** Gateways for the addresses that IPAM gave, as the stock bridge plugin chooses them (its calcGateways). Pure. */
import { PortwrightError } from "../errors.ts";
import type { Attachment, AttachmentIp } from "../model/attachment.ts";
import { isOwnAddress } from "../model/gateways.ts";
import { familyOf, formatIp, networkAddress, parseCidr } from "../model/ip.ts";
import { attachmentIps } from "./container.ts";
import type { Fields } from "./decode.ts";
import type { CniIp, CniResult, CniRoute } from "./result.ts";

/** How a workload that has addresses is routed by the host. */
export interface Routing {
  /** the host has the gateway of each address */
  readonly gateway: boolean;
  readonly defaultRoute: boolean;
  readonly forceAddress: boolean;
}

export const NO_ROUTING: Routing = { gateway: false, defaultRoute: false, forceAddress: false };

export type Addressed = Pick<CniResult, "ips" | "routes" | "dns">;

/** isDefaultGateway implies isGateway. */
export function parseRouting(conf: Fields): Routing {
  const defaultRoute = conf.boolean("isDefaultGateway") ?? false;
  const gateway = (conf.boolean("isGateway") ?? false) || defaultRoute;
  return { gateway, defaultRoute, forceAddress: conf.boolean("forceAddress") ?? false };
}

/** ipMasq; only nftables, never iptables, which the stock plugin takes by default. */
export function parseMasquerade(conf: Fields): boolean {
  if (conf.boolean("ipMasq") !== true) return false;
  const backend = conf.string("ipMasqBackend") ?? "";
  if (backend === "iptables")
    throw new PortwrightError("CNI_UNSUPPORTED_FIELD", "ipMasqBackend iptables is not supported: it is nftables");
  if (backend !== "" && backend !== "nftables") throw conf.refuse("ipMasqBackend", 'must be "nftables"', backend);
  return true;
}

/** What the container gets, and the addresses that the host has to have for it. */
export function withGateways(
  result: Addressed,
  { gateway, defaultRoute }: Routing,
): { readonly addressing: Addressed; readonly gateways: Attachment["gateways"] } {
  if (!gateway) return { addressing: result, gateways: [] };
  const ips = result.ips.map((ip) => ({ ...ip, gateway: ip.gateway ?? firstAddress(ip.address) }));
  const routes = defaultRoute ? [...result.routes, ...defaultRoutes(ips, result.routes)] : result.routes;
  const all = attachmentIps({ ips });
  return { addressing: { ...result, ips, routes }, gateways: all.flatMap((ip) => gatewayOf(ip, all)) };
}

/** Of each family, by its first gateway, unless IPAM gave one by a gateway already. */
function defaultRoutes(ips: readonly CniIp[], given: readonly CniRoute[]): readonly CniRoute[] {
  return ([4, 6] as const).flatMap((family): CniRoute[] => {
    const gw = ips.find(({ address }) => familyOf(address) === family)?.gateway;
    const hasOne = given.some(({ dst, gw: by }) => by !== undefined && isDefault(dst) && familyOf(dst) === family);
    return gw === undefined || hasOne ? [] : [{ dst: family === 4 ? "0.0.0.0/0" : "::/0", gw }];
  });
}

function isDefault(dst: string): boolean {
  const cidr = parseCidr(dst);
  return cidr?.prefixLength === 0 && cidr.address === 0n;
}

function firstAddress(address: string): string {
  const cidr = parseCidr(address);
  if (cidr === null)
    throw new PortwrightError("IPAM_FAILED", `${JSON.stringify(address)} is not an address with prefix length`);
  const { family, value } = networkAddress(cidr);
  return formatIp({ family, value: value + 1n });
}

function gatewayOf(
  { gateway: address, prefixLength }: AttachmentIp,
  all: readonly AttachmentIp[],
): Attachment["gateways"] {
  if (address === undefined) return [];
  const gateway = { address, prefixLength };
  if (!isOwnAddress(gateway, all)) return [gateway];
  throw new PortwrightError("GATEWAY_REFUSED", `${address} is the gateway's address, and IPAM gave it to the workload`);
}
