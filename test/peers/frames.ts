/** Ethernet frames for tests, built octet by octet: what goes in is what lies on the wire. */

export const BROADCAST = "ff:ff:ff:ff:ff:ff";
export const TPID_8021Q = 0x8100;
export const TPID_8021AD = 0x88a8;
export const ETH_P_IP = 0x0800;
export const ETH_P_ARP = 0x0806;
/** IEEE 802 local experimental EtherType 1: nothing in the kernel answers it */
export const ETH_P_TEST = 0x88b5;

export interface Tag {
  readonly vid: number;
  readonly pcp?: number;
  readonly dei?: boolean;
  readonly tpid?: number;
}

export interface FrameSpec {
  readonly dst: string;
  readonly src: string;
  /** outermost first */
  readonly tags?: readonly Tag[];
  readonly etherType?: number;
  readonly payload?: Uint8Array;
}

/** The n-th test station. */
export function station(n: number): string {
  return `02:00:00:00:${hex(n >>> 8)}:${hex(n & 0xff)}`;
}

export function tci({ vid, pcp = 0, dei = false }: Tag): number {
  return (pcp << 13) | (dei ? 0x1000 : 0) | vid;
}

/** Padded to the least payload, 46 octets behind the tags. */
export function frame({
  dst,
  src,
  tags = [],
  etherType = ETH_P_TEST,
  payload = text("portwright"),
}: FrameSpec): Uint8Array {
  const octets = [...macOctets(dst), ...macOctets(src)];
  for (const tag of tags) octets.push(...u16(tag.tpid ?? TPID_8021Q), ...u16(tci(tag)));
  octets.push(...u16(etherType));
  const bytes = new Uint8Array(octets.length + Math.max(46, payload.length));
  bytes.set(octets);
  bytes.set(payload, octets.length);
  return bytes;
}

/** A payload of so many octets, each different from its neighbours. */
export function filler(length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, index) => index * 7);
}

export function text(value: string): Uint8Array {
  return new TextEncoder().encode(value);
}

export function arpRequest(senderMac: string, senderIp: string, targetIp: string): Uint8Array {
  return Uint8Array.of(
    ...[0, 1, 8, 0, 6, 4, 0, 1],
    ...macOctets(senderMac),
    ...ipOctets(senderIp),
    ...[0, 0, 0, 0, 0, 0],
    ...ipOctets(targetIp),
  );
}

/** IPv4 with a UDP or a bare TCP header and `length` octets behind it. */
export function ipv4(protocol: "udp" | "tcp", source: string, destination: string, length: number): Uint8Array {
  const l4 = protocol === "udp" ? 8 : 20;
  const total = 20 + l4 + length;
  const header = [0x45, 0, ...u16(Math.min(total, 0xffff)), 0, 1, 0x40, 0, 64, protocol === "udp" ? 17 : 6, 0, 0];
  const ip = Uint8Array.of(...header, ...ipOctets(source), ...ipOctets(destination));
  new DataView(ip.buffer).setUint16(10, checksum(ip));
  const bytes = new Uint8Array(total);
  bytes.set(ip);
  bytes.set([...u16(4000), ...u16(4001)], 20);
  if (protocol === "udp") bytes.set(u16(8 + length), 24);
  else bytes[32] = 0x50;
  return bytes;
}

function checksum(bytes: Uint8Array): number {
  let sum = 0;
  for (let i = 0; i < bytes.length; i += 2) sum += ((bytes[i] ?? 0) << 8) | (bytes[i + 1] ?? 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

function macOctets(mac: string): number[] {
  return mac.split(":").map((octet) => Number.parseInt(octet, 16));
}
function ipOctets(ip: string): number[] {
  return ip.split(".").map(Number);
}
function u16(value: number): [number, number] {
  return [(value >>> 8) & 0xff, value & 0xff];
}
function hex(value: number): string {
  return value.toString(16).padStart(2, "0");
}
