/** IP and MAC addresses as text: checks and the few conversions that attaching needs. Pure. */
import { isIP, isIPv4, isIPv6 } from "node:net";

export interface Cidr {
  readonly address: string;
  readonly prefixLength: number;
}

/** "10.0.0.2/24"; null if it is not that. A zone ("fe80::1%eth0") is no part of an address here. */
export function parseCidr(text: string): Cidr | null {
  const slash = text.lastIndexOf("/");
  const address = text.slice(0, slash);
  const length = text.slice(slash + 1);
  if (slash < 0 || !isAddress(address) || !/^\d{1,3}$/.test(length)) return null;
  const prefixLength = Number(length);
  return prefixLength <= (isIPv4(address) ? 32 : 128) ? { address, prefixLength } : null;
}

export function isAddress(text: string): boolean {
  return isIP(text) !== 0 && !text.includes("%");
}

export function familyOf(address: string): 4 | 6 {
  return isIPv6(address) ? 6 : 4;
}

/** 4 or 16 octets. `address` must be one. */
export function addressBytes(address: string): Uint8Array {
  if (isIPv4(address)) return Uint8Array.from(address.split("."), Number);
  // The URL parser yields the canonical form, without an embedded dotted quad.
  const [head = "", tail] = new URL(`http://[${address}]/`).hostname.slice(1, -1).split("::");
  const groups = (part: string) => (part === "" ? [] : part.split(":").map((group) => Number.parseInt(group, 16)));
  const front = groups(head);
  const back = tail === undefined ? [] : groups(tail);
  const all = [...front, ...new Array<number>(8 - front.length - back.length).fill(0), ...back];
  return Uint8Array.from(all.flatMap((group) => [group >> 8, group & 0xff]));
}

export function sameAddress(a: string, b: string): boolean {
  return familyOf(a) === familyOf(b) && Buffer.compare(addressBytes(a), addressBytes(b)) === 0;
}

/** Lower-case colon form of a station's address, or null: a group address or all zeros cannot be a sender. */
export function parseMac(text: string): string | null {
  if (!/^[0-9a-f]{2}([:-][0-9a-f]{2}){5}$/i.test(text)) return null;
  const mac = text.toLowerCase().replaceAll("-", ":");
  const isGroup = (Number.parseInt(mac.slice(0, 2), 16) & 1) === 1;
  return isGroup || mac === "00:00:00:00:00:00" ? null : mac;
}

export function macBytes(mac: string): Uint8Array {
  return Uint8Array.from(mac.split(":"), (octet) => Number.parseInt(octet, 16));
}
