/** MAC and IPv4 addresses between their text form and the form they have in a frame. Strict: null for anything else. */

const MAC = /^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/i;
const DECIMAL_OCTET = /^(0|[1-9]\d{0,2})$/;

export const BROADCAST_MAC = "ff:ff:ff:ff:ff:ff";
export const ZERO_MAC = "00:00:00:00:00:00";
export const UNSPECIFIED_IPV4 = "0.0.0.0";

export function parseMac(text: string): Uint8Array | null {
  if (!MAC.test(text)) return null;
  return Uint8Array.from(text.split(":"), (octet) => Number.parseInt(octet, 16));
}

/** Lower-case colon form of the six bytes at `offset`; the caller has checked that they are there. */
export function formatMac(bytes: Uint8Array, offset = 0): string {
  let text = "";
  for (let i = 0; i < 6; i++) text += (i ? ":" : "") + (bytes[offset + i] ?? 0).toString(16).padStart(2, "0");
  return text;
}

/** Individual (not group) and not zero: an address that one station can have. */
export function isStationMac(mac: string): boolean {
  const bytes = parseMac(mac);
  return bytes !== null && ((bytes[0] ?? 1) & 1) === 0 && bytes.some((byte) => byte !== 0);
}

/** Dotted quad to an unsigned 32-bit number. No leading zeros: some parsers read those as octal. */
export function parseIpv4(text: string): number | null {
  const parts = text.split(".");
  if (parts.length !== 4) return null;
  let value = 0;
  for (const part of parts) {
    const octet = Number(part);
    if (!DECIMAL_OCTET.test(part) || octet > 255) return null;
    value = value * 256 + octet;
  }
  return value;
}

export function formatIpv4(value: number): string {
  return `${value >>> 24}.${(value >>> 16) & 255}.${(value >>> 8) & 255}.${value & 255}`;
}

/** Whether `address` lies in `cidr`, e.g. "10.0.0.0/24"; null if either is not IPv4. */
export function inCidr(address: string, cidr: string): boolean | null {
  const [network = "", length = "", ...rest] = cidr.split("/");
  const base = parseIpv4(network);
  const value = parseIpv4(address);
  if (base === null || value === null || rest.length > 0 || !/^\d{1,2}$/.test(length) || Number(length) > 32) {
    return null;
  }
  const size = 2 ** (32 - Number(length));
  return Math.floor(base / size) === Math.floor(value / size);
}
