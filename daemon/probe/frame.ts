/**
 * Codecs of the frames that probes send and receive: Ethernet with an optional 802.1Q tag, ARP (RFC 826), ICMP echo (RFC
 * 792) in IPv4 (RFC 791). Pure. Parsing is strict and bounds-checked: any other or malformed frame gives null, and no
 * input throws. Building throws RangeError for what cannot be encoded, which is the caller's mistake.
 */
import { formatIpv4, parseIpv4 } from "../model/ip.ts";
import { formatMac, isStationMac, macBytes } from "../model/mac.ts";

// uapi/linux/if_ether.h
export const ETH_P_ALL = 0x0003;
export const ETH_P_IP = 0x0800;
export const ETH_P_ARP = 0x0806;
const ETH_P_8021Q = 0x8100;
const ETH_HLEN = 14;
const VLAN_HLEN = 4;
/** shortest frame without FCS; a tagged one is kept 4 longer, so that it is still whole once the tag is taken off */
const ETH_ZLEN = 60;

const ARP_LENGTH = 28;
const IPV4_HEADER = 20;
const ICMP_HEADER = 8;
const IPPROTO_ICMP = 1;
const ICMP_ECHO_REPLY = 0;
const ICMP_ECHO_REQUEST = 8;
const IP_DF = 0x4000;
const IP_MF_OR_OFFSET = 0x3fff;
const TTL = 64;

/** A tag that the kernel keeps beside the frame: `ReceivedFrame.vlan`. */
export interface Tag {
  readonly tpid: number;
  readonly tci: number;
}

export interface Ethernet {
  readonly destination: string;
  readonly source: string;
  /** 1..4094; 0: untagged. A received priority tag (VID 0) is read as untagged. */
  readonly vlan: number;
}

export interface Arp {
  readonly operation: "request" | "reply";
  readonly senderMac: string;
  readonly senderIp: string;
  readonly targetMac: string;
  readonly targetIp: string;
}

export interface Echo {
  readonly type: "request" | "reply";
  readonly sourceIp: string;
  readonly destinationIp: string;
  readonly identifier: number;
  readonly sequence: number;
  readonly data: Uint8Array;
}

export type Frame =
  | { readonly kind: "arp"; readonly ethernet: Ethernet; readonly arp: Arp }
  | { readonly kind: "echo"; readonly ethernet: Ethernet; readonly echo: Echo };

/** One's complement sum of RFC 1071, complemented; 0 over data that holds its own right checksum. */
export function checksum(bytes: Uint8Array): number {
  let sum = 0;
  for (let i = 0; i < bytes.length; i += 2) sum += ((bytes[i] ?? 0) << 8) | (bytes[i + 1] ?? 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + Math.floor(sum / 0x10000);
  return ~sum & 0xffff;
}

function ipv4Number(ip: string): number {
  const value = parseIpv4(ip);
  if (value === null) throw new RangeError(`"${ip}" is not an IPv4 address`);
  return value;
}

function uint16(value: number, what: string): number {
  if (!Number.isInteger(value) || value < 0 || value > 0xffff) throw new RangeError(`${what} out of range: ${value}`);
  return value;
}

function view(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** The header and room for `length` bytes behind it, padded with zeros to the shortest frame. */
function allocate(ethernet: Ethernet, etherType: number, length: number): { frame: Uint8Array; payload: Uint8Array } {
  const { vlan } = ethernet;
  if (!Number.isInteger(vlan) || vlan < 0 || vlan > 4094) throw new RangeError(`VLAN out of range: ${vlan}`);
  const tagLength = vlan === 0 ? 0 : VLAN_HLEN;
  const header = ETH_HLEN + tagLength;
  const frame = new Uint8Array(Math.max(header + length, ETH_ZLEN + tagLength));
  frame.set(macBytes(ethernet.destination), 0);
  frame.set(macBytes(ethernet.source), 6);
  const at = view(frame);
  if (vlan !== 0) {
    at.setUint16(12, ETH_P_8021Q);
    at.setUint16(14, vlan); // priority and DEI 0
  }
  at.setUint16(header - 2, etherType);
  return { frame, payload: frame.subarray(header, header + length) };
}

export function buildArp(ethernet: Ethernet, arp: Arp): Uint8Array {
  const { frame, payload } = allocate(ethernet, ETH_P_ARP, ARP_LENGTH);
  const at = view(payload);
  at.setUint16(0, 1); // ARPHRD_ETHER
  at.setUint16(2, ETH_P_IP);
  at.setUint8(4, 6);
  at.setUint8(5, 4);
  at.setUint16(6, arp.operation === "request" ? 1 : 2);
  payload.set(macBytes(arp.senderMac), 8);
  at.setUint32(14, ipv4Number(arp.senderIp));
  payload.set(macBytes(arp.targetMac), 18);
  at.setUint32(24, ipv4Number(arp.targetIp));
  return frame;
}

export function buildEcho(ethernet: Ethernet, echo: Echo): Uint8Array {
  const total = uint16(IPV4_HEADER + ICMP_HEADER + echo.data.length, "IPv4 total length");
  const { frame, payload } = allocate(ethernet, ETH_P_IP, total);
  const at = view(payload);
  at.setUint8(0, 0x45);
  at.setUint16(2, total);
  at.setUint16(6, IP_DF); // atomic, so that the identification may be 0 (RFC 6864)
  at.setUint8(8, TTL);
  at.setUint8(9, IPPROTO_ICMP);
  at.setUint32(12, ipv4Number(echo.sourceIp));
  at.setUint32(16, ipv4Number(echo.destinationIp));
  at.setUint16(10, checksum(payload.subarray(0, IPV4_HEADER)));
  at.setUint8(IPV4_HEADER, echo.type === "request" ? ICMP_ECHO_REQUEST : ICMP_ECHO_REPLY);
  at.setUint16(IPV4_HEADER + 4, uint16(echo.identifier, "identifier"));
  at.setUint16(IPV4_HEADER + 6, uint16(echo.sequence, "sequence"));
  payload.set(echo.data, IPV4_HEADER + ICMP_HEADER);
  at.setUint16(IPV4_HEADER + 2, checksum(payload.subarray(IPV4_HEADER)));
  return frame;
}

/** Where the EtherType of a frame is and in which VLAN it came. */
export interface Layout {
  readonly vlan: number;
  readonly etherType: number;
  /** offset of what follows the EtherType */
  readonly payload: number;
}

/**
 * Reads the tag, from beside the frame or out of it. Null for frames of no VLAN that a probe can be in: too short, 802.1ad,
 * VID 4095, more than one tag.
 */
export function layoutOf(data: Uint8Array, tag?: Tag): Layout | null {
  if (data.length < ETH_HLEN) return null;
  let tpid = tag?.tpid;
  let tci = tag?.tci ?? 0;
  let etherType = ((data[12] ?? 0) << 8) | (data[13] ?? 0);
  let payload = ETH_HLEN;
  if (tpid === undefined && etherType === ETH_P_8021Q) {
    if (data.length < ETH_HLEN + VLAN_HLEN) return null;
    tpid = etherType;
    tci = ((data[14] ?? 0) << 8) | (data[15] ?? 0);
    etherType = ((data[16] ?? 0) << 8) | (data[17] ?? 0);
    payload += VLAN_HLEN;
  }
  if (tpid !== undefined && tpid !== ETH_P_8021Q) return null;
  const vlan = tci & 0xfff;
  return vlan === 4095 ? null : { vlan, etherType, payload };
}

export function parseFrame(data: Uint8Array, tag?: Tag): Frame | null {
  const layout = layoutOf(data, tag);
  if (!layout) return null;
  const ethernet = { destination: formatMac(data, 0), source: formatMac(data, 6), vlan: layout.vlan };
  if (!isStationMac(ethernet.source)) return null;
  const payload = data.subarray(layout.payload);
  if (layout.etherType === ETH_P_ARP) {
    const arp = parseArp(payload);
    return arp && { kind: "arp", ethernet, arp };
  }
  if (layout.etherType === ETH_P_IP) {
    const echo = parseEcho(payload);
    return echo && { kind: "echo", ethernet, echo };
  }
  return null;
}

function parseArp(payload: Uint8Array): Arp | null {
  if (payload.length < ARP_LENGTH) return null;
  const at = view(payload);
  if (at.getUint16(0) !== 1 || at.getUint16(2) !== ETH_P_IP || at.getUint16(4) !== 0x0604) return null;
  const operation = at.getUint16(6);
  if (operation !== 1 && operation !== 2) return null;
  return {
    operation: operation === 1 ? "request" : "reply",
    senderMac: formatMac(payload, 8),
    senderIp: formatIpv4(at.getUint32(14)),
    targetMac: formatMac(payload, 18),
    targetIp: formatIpv4(at.getUint32(24)),
  };
}

/** Fragments are refused: an echo of ours fits in one packet. Header options are skipped. */
function parseEcho(payload: Uint8Array): Echo | null {
  if (payload.length < IPV4_HEADER) return null;
  const at = view(payload);
  const header = (at.getUint8(0) & 0x0f) * 4;
  const total = at.getUint16(2);
  if (at.getUint8(0) >> 4 !== 4 || header < IPV4_HEADER) return null;
  if (total < header + ICMP_HEADER || total > payload.length) return null;
  if (at.getUint8(9) !== IPPROTO_ICMP || (at.getUint16(6) & IP_MF_OR_OFFSET) !== 0) return null;
  if (checksum(payload.subarray(0, header)) !== 0) return null;
  const icmp = payload.subarray(header, total);
  const type = at.getUint8(header);
  if ((type !== ICMP_ECHO_REQUEST && type !== ICMP_ECHO_REPLY) || at.getUint8(header + 1) !== 0) return null;
  if (checksum(icmp) !== 0) return null;
  return {
    type: type === ICMP_ECHO_REQUEST ? "request" : "reply",
    sourceIp: formatIpv4(at.getUint32(12)),
    destinationIp: formatIpv4(at.getUint32(16)),
    identifier: at.getUint16(header + 4),
    sequence: at.getUint16(header + 6),
    data: icmp.slice(ICMP_HEADER),
  };
}
