/** Links as the addon hands them over: in rows, which cost less than objects that N-API makes property by property. */
import type { Link, LinkData, LinkKind, NetlinkEvent } from "./kernel.ts";

/** The order is that of LinkToJs in native/addon/link_js.cc. */
export type LinkRow = readonly [
  ifindex: number,
  name: string,
  altNames: readonly string[] | null,
  alias: string,
  kind: LinkKind,
  flags: number,
  carrier: boolean,
  operState: number,
  mtu: number,
  minMtu: number,
  maxMtu: number,
  txQueueLength: number,
  mac: string,
  permanentMac: string,
  master: number,
  masterKind: string,
  link: number,
  linkNetnsId: number,
  promiscuity: number,
  carrierChanges: number,
  parentBus: string,
  parentDevice: string,
  pciPath: string,
  data: LinkData | null,
  memberData: LinkData | null,
  rxPackets: number,
  rxBytes: number,
  rxErrors: number,
  rxDropped: number,
  txPackets: number,
  txBytes: number,
  txErrors: number,
  txDropped: number,
];

/** That of a link is its row. */
export type EventRow = LinkRow | Exclude<NetlinkEvent, { readonly type: "link" }>;

const IFF_UP = 1; // uapi/linux/if.h
const NONE = Object.freeze({});
const NO_NAMES: readonly string[] = Object.freeze([]);

export function linkOf(row: LinkRow): Link {
  const [ifindex, name, altNames, alias, kind, flags, carrier, operState, mtu, minMtu, maxMtu, txQueueLength] = row;
  return {
    ifindex,
    name,
    altNames: altNames ?? NO_NAMES,
    alias,
    kind,
    flags,
    up: (flags & IFF_UP) !== 0,
    carrier,
    operState,
    mtu,
    minMtu,
    maxMtu,
    txQueueLength,
    mac: row[12],
    permanentMac: row[13],
    master: row[14],
    masterKind: row[15],
    link: row[16],
    linkNetnsId: row[17],
    promiscuity: row[18],
    carrierChanges: row[19],
    parentBus: row[20],
    parentDevice: row[21],
    pciPath: row[22],
    data: row[23] ?? NONE,
    memberData: row[24] ?? NONE,
    stats: {
      rxPackets: row[25],
      rxBytes: row[26],
      rxErrors: row[27],
      rxDropped: row[28],
      txPackets: row[29],
      txBytes: row[30],
      txErrors: row[31],
      txDropped: row[32],
    },
  };
}

export function eventOf(row: EventRow): NetlinkEvent {
  return "type" in row ? row : { type: "link", link: linkOf(row) };
}
