/**
 * What of the workloads' traffic leaves with the host's address: what an address sends, unless the destination lies in
 * that address's own subnet (or is a multicast address, which the table itself knows). Pure.
 */
import type { IpPrefix, Masquerade } from "../kernel/kernel.ts";
import type { AttachmentIp } from "./attachment.ts";
import { formatIp, networkAddress, parseCidr } from "./ip.ts";

export type Masqueraded = Pick<AttachmentIp, "address" | "prefixLength">;

export interface MasqueradeChange {
  readonly add: Masquerade;
  readonly remove: Masquerade;
}

/** Who has which address, and what a newcomer or a leaver changes, however many there are. */
export class MasqueradedWorkloads {
  /** by workload: its addresses, each with its prefix length */
  readonly #addresses = new Map<string, ReadonlyMap<string, number>>();
  /** by address: the prefix length that each workload has it with */
  readonly #holders = new Map<string, Map<string, number>>();
  /** by subnet: how many sources have it as their own */
  readonly #subnets = new Map<string, number>();

  has(id: string): boolean {
    return this.#addresses.has(id);
  }

  get isEmpty(): boolean {
    return this.#holders.size === 0;
  }

  all(): Masquerade {
    return { sources: this.#sources(this.#holders.keys()), subnets: [...this.#subnets.keys()].map(toPrefix) };
  }

  /** The addresses of a workload as they are masqueraded. */
  sourcesOf(id: string): readonly IpPrefix[] {
    return this.#sources(this.#addresses.get(id)?.keys() ?? []);
  }

  set(id: string, ips: readonly Masqueraded[]): MasqueradeChange {
    return this.#change(id, prefixLengths(ips));
  }

  delete(id: string): MasqueradeChange {
    return this.#change(id, null);
  }

  #change(id: string, addresses: ReadonlyMap<string, number> | null): MasqueradeChange {
    const touched = new Set([...(this.#addresses.get(id)?.keys() ?? []), ...(addresses?.keys() ?? [])]);
    const before = this.#sources(touched);
    for (const address of touched) this.#hold(address, id, addresses?.get(address));
    if (addresses === null) this.#addresses.delete(id);
    else this.#addresses.set(id, addresses);
    const after = this.#sources(touched);
    const subnets = [...new Set([...before, ...after].map(subnetOf))];
    const subnetsNow = (): IpPrefix[] => subnets.filter((subnet) => this.#subnets.has(subnet)).map(toPrefix);
    const known = subnetsNow();
    for (const source of after) this.#count(subnetOf(source), 1);
    for (const source of before) this.#count(subnetOf(source), -1);
    return masqueradeDifference({ sources: after, subnets: subnetsNow() }, { sources: before, subnets: known });
  }

  /** One that several workloads have, in networks that never meet, is there once, with the largest subnet. */
  #sources(addresses: Iterable<string>): readonly IpPrefix[] {
    return [...addresses].flatMap((address) => {
      const holders = this.#holders.get(address);
      return holders === undefined ? [] : { address, prefixLength: Math.min(...holders.values()) };
    });
  }

  #hold(address: string, id: string, prefixLength: number | undefined): void {
    const holders = this.#holders.get(address) ?? new Map<string, number>();
    if (prefixLength === undefined) holders.delete(id);
    else holders.set(id, prefixLength);
    if (holders.size === 0) this.#holders.delete(address);
    else this.#holders.set(address, holders);
  }

  #count(subnet: string, by: 1 | -1): void {
    const sources = (this.#subnets.get(subnet) ?? 0) + by;
    if (sources === 0) this.#subnets.delete(subnet);
    else this.#subnets.set(subnet, sources);
  }
}

/** What has to come and what has to go. */
export function masqueradeDifference(wanted: Masquerade, there: Masquerade): MasqueradeChange {
  const without = (list: readonly IpPrefix[], other: readonly IpPrefix[]): IpPrefix[] => {
    const known = new Set(other.map(toText));
    return list.filter((prefix) => !known.has(toText(prefix)));
  };
  const beyond = (a: Masquerade, b: Masquerade): Masquerade => ({
    sources: without(a.sources, b.sources),
    subnets: without(a.subnets, b.subnets),
  });
  return { add: beyond(wanted, there), remove: beyond(there, wanted) };
}

export function isNothing({ sources, subnets }: Masquerade): boolean {
  return sources.length === 0 && subnets.length === 0;
}

function prefixLengths(ips: readonly Masqueraded[]): ReadonlyMap<string, number> {
  const lengths = new Map<string, number>();
  for (const { address, prefixLength } of ips) {
    const cidr = parseCidr(`${address}/${prefixLength}`);
    if (cidr === null) continue;
    const source = formatIp({ family: cidr.family, value: cidr.address });
    lengths.set(source, Math.min(lengths.get(source) ?? prefixLength, prefixLength));
  }
  return lengths;
}

function subnetOf(source: IpPrefix): string {
  const cidr = parseCidr(toText(source));
  if (cidr === null) throw new RangeError(`${toText(source)} is not a subnet`);
  return toText({ address: formatIp(networkAddress(cidr)), prefixLength: source.prefixLength });
}

function toText({ address, prefixLength }: IpPrefix): string {
  return `${address}/${prefixLength}`;
}

function toPrefix(text: string): IpPrefix {
  const [address = "", prefixLength] = text.split("/");
  return { address, prefixLength: Number(prefixLength) };
}
