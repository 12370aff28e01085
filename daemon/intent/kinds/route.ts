/** A network's route: the same rules for `spec.route` of a Network and for the annotation of an attachment definition. */
import { type Cidr, type Ip, isHostAddress, parseCidr, parseIp } from "../../model/ip.ts";
import type { NetworkRoute } from "../../model/resources.ts";
import type { RawRoute } from "../schemas/route.ts";
import type { Path } from "../source.ts";
import { type Check, show } from "../validate.ts";

/**
 * `strict`: fields of the other mode are refused. A controller leaves them behind in the annotation, so there they are
 * passed over. An empty text is an absent one.
 */
export function readRoute(check: Check, raw: RawRoute, base: Path, strict: boolean): NetworkRoute | undefined {
  const at = (field: keyof RawRoute): Path => [...base, field];
  const given = (field: keyof RawRoute): string | undefined => raw[field] || undefined;
  const foreign = raw.mode === "manual" ? (["serverIPAddr"] as const) : (["cidr", "gateway", "probeAddress"] as const);
  for (const field of strict ? foreign : []) {
    if (given(field) !== undefined) check.refuse(at(field), `has no meaning in mode ${raw.mode}`);
  }
  if (raw.mode === "auto") {
    const server = given("serverIPAddr");
    if (server === undefined) return { mode: "auto" };
    if (parseIp(server) === null) check.refuse(at("serverIPAddr"), `must be an IP address, not ${show(server)}`);
    return { mode: "auto", serverAddress: server };
  }
  const subnet = readSubnet(check, at("cidr"), given("cidr"));
  const gateway = readAddress(check, at("gateway"), given("gateway"), subnet);
  if (given("gateway") === undefined) check.refuse(base, "has mode manual and no gateway");
  const probe = readAddress(check, at("probeAddress"), given("probeAddress"), subnet);
  if (probe !== undefined && probe.value === gateway?.value) {
    check.refuse(at("probeAddress"), "must be a free address, not the gateway's");
  }
  if (subnet === undefined || gateway === undefined) return undefined;
  const probeAddress = given("probeAddress");
  return {
    mode: "manual",
    cidr: given("cidr") ?? "",
    gateway: given("gateway") ?? "",
    ...(probeAddress === undefined ? {} : { probeAddress }),
  };

  function readSubnet(c: Check, path: Path, text: string | undefined): Cidr | undefined {
    if (text === undefined) {
      c.refuse(base, "has mode manual and no cidr");
      return undefined;
    }
    const cidr = parseCidr(text);
    if (cidr === null || cidr.family !== 4) {
      // Probes speak ARP and ICMP; a gateway that cannot be probed would only look healthy.
      c.refuse(path, `must be an IPv4 subnet such as 10.100.0.0/24, not ${show(text)}`);
      return undefined;
    }
    if (cidr.prefixLength === 0) {
      c.refuse(path, "must have a prefix length of at least 1");
      return undefined;
    }
    return cidr;
  }
}

function readAddress(check: Check, path: Path, text: string | undefined, subnet: Cidr | undefined): Ip | undefined {
  if (text === undefined) return undefined;
  const ip = parseIp(text);
  if (ip === null || ip.family !== 4) {
    check.refuse(path, `must be an IPv4 address, not ${show(text)}`);
    return undefined;
  }
  if (subnet !== undefined && !isHostAddress(subnet, ip)) {
    check.refuse(path, `must be an address of a host inside the route's cidr, not ${text}`);
  }
  return ip;
}
