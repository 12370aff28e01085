/**
 * What of the workloads' traffic leaves with the host's address: all that goes to unicast addresses outside of the
 * sender's own subnet. As ranges of destinations, one below and one above the subnet. Pure.
 */
import type { MasqueradeRange } from "../kernel/kernel.ts";
import type { AttachmentIp } from "./attachment.ts";
import { type Cidr, formatIp, lastAddress, networkAddress, parseCidr } from "./ip.ts";

/** The first group address of each family (RFC 5771; RFC 4291, section 2.7): what is from here on is not masqueraded. */
const FIRST_GROUP = { 4: 0xe000_0000n, 6: 0xff00n << 112n } as const;

export type Masqueraded = Pick<AttachmentIp, "address" | "prefixLength">;

/** An address that two workloads have, in networks that never meet, is there once, with the larger subnet. */
export function masqueradeRanges(addresses: Iterable<Masqueraded>): readonly MasqueradeRange[] {
  const bySource = new Map<string, Cidr>();
  for (const { address, prefixLength } of addresses) {
    const cidr = parseCidr(`${address}/${prefixLength}`);
    if (cidr === null) continue;
    const source = formatIp({ family: cidr.family, value: cidr.address });
    const known = bySource.get(source);
    if (known === undefined || known.prefixLength > prefixLength) bySource.set(source, cidr);
  }
  return [...bySource].flatMap(([source, cidr]) => outside(source, cidr));
}

function outside(source: string, cidr: Cidr): readonly MasqueradeRange[] {
  const { family } = cidr;
  const text = (value: bigint): string => formatIp({ family, value });
  const below = { first: 0n, last: networkAddress(cidr).value - 1n };
  const above = { first: lastAddress(cidr).value + 1n, last: FIRST_GROUP[family] - 1n };
  const ranges = [below, above].filter(({ first, last }) => first <= last);
  return ranges.map(({ first, last }) => ({ source, first: text(first), last: text(last) }));
}

/** What has to come and what has to go. */
export function masqueradeChange(
  wanted: readonly MasqueradeRange[],
  there: readonly MasqueradeRange[],
): { readonly add: readonly MasqueradeRange[]; readonly remove: readonly MasqueradeRange[] } {
  const key = ({ source, first, last }: MasqueradeRange): string => `${source} ${first} ${last}`;
  const [wantedKeys, foundKeys] = [new Set(wanted.map(key)), new Set(there.map(key))];
  return {
    add: wanted.filter((range) => !foundKeys.has(key(range))),
    remove: there.filter((range) => !wantedKeys.has(key(range))),
  };
}
