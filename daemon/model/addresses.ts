/**
 * Addresses of the host on links of ours: which are wanted, which of those there are ours, and what must be done. Pure.
 */
import type { Address, Link } from "../kernel/kernel.ts";
import { sameIp } from "./ip.ts";
import type { Step } from "./plan.ts";
import { isOurs } from "./target.ts";

/**
 * What an address carries that we put on a link (IFA_PROTO, Linux 5.18): any number that neither the kernel (1 to 3) nor
 * iproute2's list of names uses. An older kernel does not keep it: there, an address that is not wanted any more goes
 * with its link only.
 */
export const ADDRESS_MARK = 112;

/** uapi/linux/if_addr.h */
const IFA_F_DADFAILED = 0x08;
const IFA_F_TENTATIVE = 0x40;

export interface TargetAddress {
  readonly address: string;
  readonly prefixLength: number;
  /** on whose behalf, e.g. "HostNetworkConfig/storage" */
  readonly owner: string;
  /** IPv6: it is in use at once, without duplicate address detection */
  readonly noDad?: true;
}

type Form = Pick<Address, "address" | "prefixLength">;

export interface AddressWorld {
  readonly wanted: ReadonlyMap<string, readonly TargetAddress[]>;
  readonly observed: readonly Address[];
  /** links of ours that stay, by name; absent: this plan makes it, or it is not ours */
  readonly kept: (name: string) => Link | undefined;
  /** the plan makes the link */
  readonly isMade: (name: string) => boolean;
  readonly links: readonly Link[];
}

/** Wanted ones that are missing. A stranger's that says the same will do. */
export function addressesToAdd({ wanted, observed, kept, isMade }: AddressWorld): Step[] {
  return [...wanted].flatMap(([name, addresses]): Step[] => {
    const link = kept(name);
    if (link === undefined ? !isMade(name) : !isOurs(link)) return [];
    const there = observed.filter(({ ifindex }) => ifindex === link?.ifindex);
    return addresses.flatMap((address): Step[] => {
      if (there.some((one) => isSameAddress(one, address))) return [];
      return [{ op: "add-address", name, ifindex: link?.ifindex ?? 0, address, impact: "none" }];
    });
  });
}

/**
 * Those that carry our mark, on links of ours, and that nobody wants; also on links that go: a plan names what is lost,
 * and the way back what is to come again.
 */
export function addressesToRemove({ wanted, observed, kept, links }: AddressWorld): Step[] {
  const byIndex = new Map(links.map((link) => [link.ifindex, link]));
  return observed.flatMap(({ ifindex, protocol, address, prefixLength }): Step[] => {
    const link = byIndex.get(ifindex);
    if (protocol !== ADDRESS_MARK || link === undefined || !isOurs(link)) return [];
    const isWanted = wanted.get(link.name)?.some((one) => isSameAddress(one, { address, prefixLength })) ?? false;
    const stays = kept(link.name) === link;
    if (isWanted && stays) return [];
    return [
      {
        op: "remove-address",
        name: link.name,
        // One that goes has another index when it comes again: the way back finds it by name.
        ifindex: stays ? ifindex : 0,
        address: { address, prefixLength, owner: "" },
        impact: "outage",
      },
    ];
  });
}

export function isSameAddress(a: Form, b: Form): boolean {
  return a.prefixLength === b.prefixLength && sameIp(a.address, b.address);
}

/** The kernel answers to it: it is neither being checked for a duplicate nor found to be one. */
export function isUsable({ flags }: Address): boolean {
  return (flags & (IFA_F_DADFAILED | IFA_F_TENTATIVE)) === 0;
}

export function isDuplicate({ flags }: Address): boolean {
  return (flags & IFA_F_DADFAILED) !== 0;
}

export function addressText({ address, prefixLength }: Form): string {
  return `${address}/${prefixLength}`;
}
