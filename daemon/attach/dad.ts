/**
 * Duplicate address detection (RFC 4862, section 5.4) in a container: the kernel asks, this waits for the answer. It
 * takes a second or two: a random delay of up to one, and one for the answer (net/ipv6/addrconf.c, addrconf_dad_kick).
 */
import { PortwrightError } from "../errors.ts";
import type { Namespace } from "../kernel/kernel.ts";
import type { AttachmentIp } from "../model/attachment.ts";
import { isDuplicate, isUsable } from "../model/addresses.ts";
import { familyOf, sameIp } from "../model/ip.ts";

/** As long as the stock plugins wait. */
const LIMIT_MS = 10_000;
const PAUSE_MS = 50;

export async function settleAddresses(
  namespace: Pick<Namespace, "addresses">,
  ifindex: number,
  ips: readonly AttachmentIp[],
): Promise<void> {
  const wanted = ips.filter(({ address }) => familyOf(address) === 6);
  for (let waited = 0; wanted.length > 0; waited += PAUSE_MS) {
    const found = await namespace.addresses(ifindex);
    const states = wanted.map(({ address }) => ({ address, is: found.find((one) => sameIp(one.address, address)) }));
    for (const { address, is } of states) {
      if (is === undefined) throw unusable(address, "was removed while it was being asked for");
      if (isDuplicate(is)) throw unusable(address, "is used by another station already");
    }
    const open = states.find(({ is }) => is !== undefined && !isUsable(is));
    if (open === undefined) return;
    if (waited >= LIMIT_MS) throw unusable(open.address, `is still being asked for after ${LIMIT_MS / 1000} s`);
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  }
}

function unusable(address: string, why: string): PortwrightError {
  return new PortwrightError("ADDRESS_UNUSABLE", `the IPv6 address ${address} ${why}`);
}
