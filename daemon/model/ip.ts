/** IP addresses and subnets: text, numbers, octets. Pure; node:net decides what is an address. */
import { isIPv4, isIPv6 } from "node:net";

export interface Ip {
  readonly family: 4 | 6;
  readonly value: bigint;
}
export interface Cidr {
  readonly family: 4 | 6;
  /** as written: bits beyond the prefix are kept */
  readonly address: bigint;
  readonly prefixLength: number;
}

/** null: not an address. Zones ("fe80::1%eth0") are refused: a zone is a host's, not an address's. */
export function parseIp(text: string): Ip | null {
  const ipv4 = parseIpv4(text);
  if (ipv4 !== null) return { family: 4, value: BigInt(ipv4) };
  if (isIPv6(text) && !text.includes("%")) return { family: 6, value: ipv6Value(text) };
  return null;
}

/** Dotted quad to an unsigned 32-bit number; null: none. No leading zeros: some parsers read those as octal. */
export function parseIpv4(text: string): number | null {
  return isIPv4(text) ? text.split(".").reduce((value, octet) => value * 256 + Number(octet), 0) : null;
}

/** Of an address or a subnet, which it must be. */
export function familyOf(text: string): 4 | 6 {
  return text.includes(":") ? 6 : 4;
}

/** Whether two texts are one address, however they are spelt. */
export function sameIp(a: string, b: string): boolean {
  const [one, other] = [parseIp(a), parseIp(b)];
  return one !== null && one.family === other?.family && one.value === other.value;
}

/** 4 or 16 octets, as in a packet. */
export function ipBytes(text: string): Uint8Array {
  const ip = parseIp(text);
  if (ip === null) throw new RangeError(`"${text}" is not an IP address`);
  const octets = new Uint8Array(bits(ip.family) / 8);
  for (let i = octets.length - 1, rest = ip.value; i >= 0; i--, rest >>= 8n) octets[i] = Number(rest & 0xffn);
  return octets;
}

/** "10.0.0.0/24"; null: not a subnet. */
export function parseCidr(text: string): Cidr | null {
  const match = /^([^/]+)\/(0|[1-9]\d{0,2})$/.exec(text);
  const ip = parseIp(match?.[1] ?? "");
  const prefixLength = Number(match?.[2]);
  if (ip === null || !(prefixLength <= bits(ip.family))) return null;
  return { family: ip.family, address: ip.value, prefixLength };
}

export function contains(cidr: Cidr, ip: Ip): boolean {
  if (cidr.family !== ip.family) return false;
  const host = BigInt(bits(cidr.family) - cidr.prefixLength);
  return cidr.address >> host === ip.value >> host;
}

/** The first address of a subnet: its name, not a host's. */
export function networkAddress(cidr: Cidr): Ip {
  const host = BigInt(bits(cidr.family) - cidr.prefixLength);
  return { family: cidr.family, value: (cidr.address >> host) << host };
}

/** The last address of a subnet; for IPv4 that of broadcasts, except on a /31 or /32 (RFC 3021). */
export function lastAddress(cidr: Cidr): Ip {
  const host = BigInt(bits(cidr.family) - cidr.prefixLength);
  return { family: cidr.family, value: networkAddress(cidr).value | ((1n << host) - 1n) };
}

/** Can a host of the subnet have this address? */
export function isHostAddress(cidr: Cidr, ip: Ip): boolean {
  if (!contains(cidr, ip)) return false;
  if (cidr.family === 6 || cidr.prefixLength >= 31) return true;
  return ip.value !== networkAddress(cidr).value && ip.value !== lastAddress(cidr).value;
}

/** IPv6 link-local unicast, fe80::/10 (RFC 4291). */
export function isLinkLocal(ip: Ip): boolean {
  return ip.family === 6 && ip.value >> 118n === 0x3fan;
}

/** Canonical text (RFC 5952 for IPv6). */
export function formatIp(ip: Ip): string {
  if (ip.family === 4) return formatIpv4(Number(ip.value));
  const groups = Array.from({ length: 8 }, (_, i) => ((ip.value >> BigInt(112 - 16 * i)) & 0xffffn).toString(16));
  // The longest run of two or more zero groups is left out; the first one if there are several.
  let best = { start: -1, length: 1 };
  for (let start = 0; start < 8; start++) {
    let length = 0;
    while (start + length < 8 && groups[start + length] === "0") length++;
    if (length > best.length) best = { start, length };
  }
  if (best.start < 0) return groups.join(":");
  return `${groups.slice(0, best.start).join(":")}::${groups.slice(best.start + best.length).join(":")}`;
}

export function formatIpv4(value: number): string {
  return `${value >>> 24}.${(value >>> 16) & 255}.${(value >>> 8) & 255}.${value & 255}`;
}

function bits(family: 4 | 6): number {
  return family === 4 ? 32 : 128;
}

function ipv6Value(text: string): bigint {
  // The last 32 bits may be a dotted quad (RFC 4291, section 2.2).
  const quad = text.slice(text.lastIndexOf(":") + 1);
  const low = parseIpv4(quad);
  const plain =
    low === null ? text : `${text.slice(0, -quad.length)}${(low >>> 16).toString(16)}:${(low & 0xffff).toString(16)}`;
  const [head = "", tail] = plain.split("::");
  const groups = (part: string): string[] => (part === "" ? [] : part.split(":"));
  const left = groups(head);
  const right = tail === undefined ? [] : groups(tail);
  const all = [...left, ...Array<string>(8 - left.length - right.length).fill("0"), ...right];
  return all.reduce((value, group) => (value << 16n) | BigInt(`0x${group}`), 0n);
}
