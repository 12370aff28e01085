/**
 * CNI results: one form inside, that of 1.1.0, and exact conversion from and to the forms of all versions. Pure.
 * Forms (CNI SPEC of each version, "Result"): up to 0.2.0 one address a family; 0.3-0.4 ips[].version; from 1.0 without.
 */
import { familyOf, parseCidr, parseIp as parseAddress } from "../model/ip.ts";
import type { Fields } from "./decode.ts";
import { atLeast, type CniVersion } from "./version.ts";

export interface CniInterface {
  readonly name: string;
  readonly mac?: string;
  readonly mtu?: number;
  /** the namespace's path; absent on the host */
  readonly sandbox?: string;
  readonly socketPath?: string;
  readonly pciID?: string;
}
export interface CniIp {
  /** with prefix length */
  readonly address: string;
  readonly gateway?: string;
  /** index into interfaces */
  readonly interface?: number;
}
export interface CniRoute {
  readonly dst: string;
  readonly gw?: string;
  readonly mtu?: number;
  readonly advmss?: number;
  readonly priority?: number;
  readonly table?: number;
  readonly scope?: number;
}
export interface CniDns {
  readonly nameservers?: readonly string[];
  readonly domain?: string;
  readonly search?: readonly string[];
  readonly options?: readonly string[];
}
export interface CniResult {
  readonly interfaces: readonly CniInterface[];
  readonly ips: readonly CniIp[];
  readonly routes: readonly CniRoute[];
  readonly dns: CniDns;
}

export function hasDns(dns: CniDns): boolean {
  return Object.keys(dns).length > 0;
}

// ---- writing ---------------------------------------------------------------------------------------------------------

export function formatResult(result: CniResult, cniVersion: CniVersion): object {
  if (!atLeast(cniVersion, "0.3.0")) {
    // An L2 network has no address to tell: then there is nothing but the version and dns.
    return { cniVersion, ...oldFamily(result, 4), ...oldFamily(result, 6), dns: result.dns };
  }
  const modern = atLeast(cniVersion, "1.0.0");
  return {
    cniVersion,
    ...listed("interfaces", modern ? result.interfaces : result.interfaces.map(oldInterface)),
    ...listed("ips", modern ? result.ips : result.ips.map((ip) => ({ version: `${familyOf(ip.address)}`, ...ip }))),
    ...listed("routes", modern ? result.routes : result.routes.map(oldRoute)),
    dns: result.dns,
  };
}

function listed(key: string, list: readonly object[]): object {
  return list.length > 0 ? { [key]: list } : {};
}

function oldFamily(result: CniResult, family: 4 | 6): object {
  const ip = result.ips.find((candidate) => familyOf(candidate.address) === family);
  if (ip === undefined) return {};
  const routes = result.routes.filter((route) => familyOf(route.dst) === family).map(oldRoute);
  const gateway = ip.gateway === undefined ? {} : { gateway: ip.gateway };
  return { [`ip${family}`]: { ip: ip.address, ...gateway, ...listed("routes", routes) } };
}

function oldInterface({ name, mac, sandbox }: CniInterface): CniInterface {
  return { name, ...(mac === undefined ? {} : { mac }), ...(sandbox === undefined ? {} : { sandbox }) };
}

function oldRoute({ dst, gw }: CniRoute): CniRoute {
  return gw === undefined ? { dst } : { dst, gw };
}

// ---- reading ---------------------------------------------------------------------------------------------------------

/** A result of any version, told by its shape: plugins are known to forget cniVersion. */
export function parseResult(fields: Fields): CniResult {
  const old = [parseOldFamily(fields, "ip4", 4), parseOldFamily(fields, "ip6", 6)];
  return {
    interfaces: fields.objects("interfaces")?.map(parseInterface) ?? [],
    ips: [...(fields.objects("ips")?.map(parseIp) ?? []), ...old.flatMap((part) => part.ips)],
    routes: [...(fields.objects("routes")?.map((r) => parseRoute(r)) ?? []), ...old.flatMap((part) => part.routes)],
    dns: parseDns(fields.object("dns")),
  };
}

export function parseDns(fields: Fields | undefined): CniDns {
  const nameservers = fields?.strings("nameservers");
  const domain = fields?.string("domain");
  const search = fields?.strings("search");
  const options = fields?.strings("options");
  return {
    ...(nameservers?.length ? { nameservers } : {}),
    ...(domain ? { domain } : {}),
    ...(search?.length ? { search } : {}),
    ...(options?.length ? { options } : {}),
  };
}

function parseOldFamily(fields: Fields, key: "ip4" | "ip6", family: 4 | 6): Pick<CniResult, "ips" | "routes"> {
  const part = fields.object(key);
  if (part === undefined) return { ips: [], routes: [] };
  const address = part.string("ip") ?? "";
  if (parseCidr(address) === null || familyOf(address) !== family)
    throw part.refuse("ip", `must be an IPv${family} address with prefix length`, address);
  const routes = part.objects("routes")?.map((route) => parseRoute(route)) ?? [];
  return { ips: [{ address, ...parseGateway(part, "gateway", family) }], routes };
}

function parseInterface(fields: Fields): CniInterface {
  const name = fields.string("name");
  if (!name) throw fields.refuse("name", "is missing");
  return { name, ...optional(fields, ["mac", "sandbox", "socketPath", "pciID"]), ...numbers(fields, ["mtu"]) };
}

function parseIp(fields: Fields): CniIp {
  const address = fields.string("address") ?? "";
  const cidr = parseCidr(address);
  if (cidr === null) throw fields.refuse("address", "must be an IP address with prefix length", address);
  const index = fields.integer("interface", 0, 65535);
  return {
    address,
    ...parseGateway(fields, "gateway", cidr.family),
    ...(index === undefined ? {} : { interface: index }),
  };
}

function parseRoute(fields: Fields): CniRoute {
  const dst = fields.string("dst") ?? "";
  const cidr = parseCidr(dst);
  if (cidr === null) throw fields.refuse("dst", "must be an IP prefix", dst);
  return {
    dst,
    ...parseGateway(fields, "gw", cidr.family),
    ...numbers(fields, ["mtu", "advmss", "priority", "table", "scope"]),
  };
}

function parseGateway<K extends string>(fields: Fields, key: K, family: 4 | 6): { [P in K]?: string } {
  const gateway = fields.string(key);
  if (!gateway) return {};
  if (parseAddress(gateway)?.family !== family) throw fields.refuse(key, `must be an IPv${family} address`, gateway);
  return { [key]: gateway } as { [P in K]?: string };
}

function optional<K extends string>(fields: Fields, keys: readonly K[]): { [P in K]?: string } {
  const entries = keys.flatMap((key) => {
    const value = fields.string(key);
    return value ? [[key, value] as const] : [];
  });
  return Object.fromEntries(entries) as { [P in K]?: string };
}

function numbers<K extends string>(fields: Fields, keys: readonly K[]): { [P in K]?: number } {
  const entries = keys.flatMap((key) => {
    const value = fields.integer(key, 0, 0xffff_ffff);
    return value === undefined ? [] : [[key, value] as const];
  });
  return Object.fromEntries(entries) as { [P in K]?: number };
}
