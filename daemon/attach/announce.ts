/**
 * Frames that tell the network where an address now lives, so that stale entries of neighbours and of switches go: a
 * gratuitous ARP request (RFC 5227, section 2.3), an unsolicited neighbour advertisement (RFC 4861, section 7.2.6) and,
 * of a MAC without an IP address, a reverse ARP request (RFC 903), as hypervisors announce a machine that has moved. Pure.
 */
import { familyOf, ipBytes } from "../model/ip.ts";
import { macBytes } from "../model/mac.ts";

export function announcement(mac: string, address: string): Uint8Array {
  return familyOf(address) === 4
    ? arpAnnouncement(macBytes(mac), ipBytes(address))
    : neighbourAdvertisement(macBytes(mac), ipBytes(address));
}

/** "Who am I?": nobody answers that today, and every switch on the way learns the source. */
export function reverseRequest(mac: string): Uint8Array {
  const octets = macBytes(mac);
  const frame = new Uint8Array(60);
  frame.set([0xff, 0xff, 0xff, 0xff, 0xff, 0xff, ...octets, 0x80, 0x35], 0);
  frame.set([0, 1, 8, 0, 6, 4, 0, 3, ...octets, 0, 0, 0, 0, ...octets], 14);
  return frame;
}

export function tagged(frame: Uint8Array, vid: number): Uint8Array {
  return Uint8Array.of(...frame.subarray(0, 12), 0x81, 0x00, vid >> 8, vid & 0xff, ...frame.subarray(12));
}

function arpAnnouncement(mac: Uint8Array, ip: Uint8Array): Uint8Array {
  const frame = new Uint8Array(42);
  frame.set([0xff, 0xff, 0xff, 0xff, 0xff, 0xff, ...mac, 0x08, 0x06], 0);
  // Ethernet, IPv4, lengths 6 and 4, request; the target's MAC stays zero.
  frame.set([0, 1, 8, 0, 6, 4, 0, 1, ...mac, ...ip], 14);
  frame.set(ip, 38);
  return frame;
}

const ALL_NODES = ipBytes("ff02::1");
const OVERRIDE = 0x20;

function neighbourAdvertisement(mac: Uint8Array, ip: Uint8Array): Uint8Array {
  const message = Uint8Array.of(136, 0, 0, 0, OVERRIDE, 0, 0, 0, ...ip, 2 /* target link-layer address */, 1, ...mac);
  const checksum = icmp6Checksum(ip, ALL_NODES, message);
  message.set([checksum >> 8, checksum & 0xff], 2);
  const header = Uint8Array.of(0x60, 0, 0, 0, 0, message.length, 58 /* ICMPv6 */, 255, ...ip, ...ALL_NODES);
  return Uint8Array.of(0x33, 0x33, 0, 0, 0, 1, ...mac, 0x86, 0xdd, ...header, ...message);
}

/** Over the pseudo-header of RFC 8200, section 8.1. */
function icmp6Checksum(source: Uint8Array, destination: Uint8Array, message: Uint8Array): number {
  const all = [...source, ...destination, 0, 0, 0, message.length, 0, 0, 0, 58, ...message];
  let sum = 0;
  for (let i = 0; i < all.length; i += 2) sum += ((all[i] ?? 0) << 8) | (all[i + 1] ?? 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}
