/** MAC addresses: text and the six octets of a frame. Pure. */

export const BROADCAST_MAC = "ff:ff:ff:ff:ff:ff";
export const ZERO_MAC = "00:00:00:00:00:00";

/** Six octets from the colon form; null: it is not that. */
export function parseMac(text: string): Uint8Array | null {
  if (!/^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/i.test(text)) return null;
  return Uint8Array.from(text.split(":"), (octet) => Number.parseInt(octet, 16));
}

/** As parseMac, where the caller knows that it is one. */
export function macBytes(mac: string): Uint8Array {
  const bytes = parseMac(mac);
  if (bytes === null) throw new RangeError(`"${mac}" is not a MAC address`);
  return bytes;
}

/** Lower-case colon form of the six octets at `offset`; the caller has checked that they are there. */
export function formatMac(bytes: Uint8Array, offset = 0): string {
  let text = "";
  for (let i = 0; i < 6; i++) text += (i ? ":" : "") + (bytes[offset + i] ?? 0).toString(16).padStart(2, "0");
  return text;
}

/** Why it cannot be an interface's own address; null if it can. */
export function macFault(mac: string): string | null {
  const bytes = parseMac(mac);
  if (bytes === null) return "is not six hexadecimal octets joined by colons";
  if (((bytes[0] ?? 1) & 1) === 1) return "is a group address";
  if (bytes.every((octet) => octet === 0)) return "is all zero";
  return null;
}

/** Individual (not group) and not zero: an address that one station can have, and send from. */
export function isStationMac(mac: string): boolean {
  return macFault(mac) === null;
}

/** Lower-case colon form of a station's address, which may be given with hyphens; null if it is none. */
export function stationMac(text: string): string | null {
  const mac = /^[0-9a-f]{2}([:-][0-9a-f]{2}){5}$/i.test(text) ? text.toLowerCase().replaceAll("-", ":") : "";
  return isStationMac(mac) ? mac : null;
}

/**
 * A unicast, locally administered address (IEEE 802-2014, 8.4) that is always the same for a text: 46 bits of FNV-1a with
 * a finalizer that lets every character count for every bit.
 */
export function derivedMac(text: string): string {
  const mask = (1n << 64n) - 1n;
  let hash = 0xcbf29ce484222325n;
  for (const octet of new TextEncoder().encode(text)) hash = ((hash ^ BigInt(octet)) * 0x100000001b3n) & mask;
  hash ^= hash >> 33n;
  hash = (hash * 0xff51afd7ed558ccdn) & mask;
  hash ^= hash >> 33n;
  const bytes = Uint8Array.from({ length: 6 }, (_, i) => Number((hash >> BigInt(8 * i)) & 0xffn));
  bytes[0] = ((bytes[0] ?? 0) & 0xfc) | 0x02;
  return formatMac(bytes);
}
