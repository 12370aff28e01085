/** Does an event of the kernel call for a round? Most do not: they tell of what we did ourselves. Pure. */
import type { Address, Link, NetlinkEvent } from "../kernel/kernel.ts";
import { borrowed } from "../links/borrowed.ts";
import { linkChange } from "../links/link.ts";
import { workload } from "../links/workload.ts";
import { isSameAddress } from "../model/addresses.ts";
import type { Workload } from "../model/attachment.ts";
import { isNic } from "../model/nic-ref.ts";
import type { Intent } from "../model/resources.ts";
import { isUnnamed, type Target, type TargetLink } from "../model/target.ts";

export interface Wanted {
  readonly target: Target;
  readonly intent: Intent;
  /** the workload whose port has this name; live, not of the last round: one that is being removed has none any more */
  readonly portOf: (hostInterface: string) => Workload | undefined;
  readonly isUplink: (ifindex: number) => boolean;
  /** index of a link by name, as far as it is known */
  readonly indexOf: (name: string) => number | undefined;
  /** the last round left something undone: what moves may be what it waits for */
  readonly unfinished: boolean;
}

export function disturbs(event: NetlinkEvent, wanting: Wanted): boolean {
  const { target, intent, portOf, isUplink, indexOf, unfinished } = wanting;
  switch (event.type) {
    case "overrun":
      return true;
    case "address":
      return isUplink(event.address.ifindex) || (event.gone && isMissed(event.address));
    case "link-gone":
      return isOwn(event.name) || portOf(event.name) !== undefined || isFreed();
    case "link": {
      const { link } = event;
      const own = portOf(link.name);
      const wanted = target.links.get(link.name);
      // Whoever makes it is not done yet. A round would come in between, and take off the uplink what the workload is about
      // to need.
      if (own && (own.state === "pending" || isUnnamed(link))) return false;
      if (own) return linkChange(wanted && isPortLink(wanted) ? wanted : portLink(own, link), link) !== null;
      if (wanted && !isPortLink(wanted)) {
        if (unfinished || linkChange(wanted, link) !== null) return true;
        return wanted.kind === "member" && link.master !== indexOf(wanted.master ?? "");
      }
      return isIntruder(link) || isMissedNic(link);
    }
  }

  /** an address of the host that is to stay */
  function isMissed(address: Address): boolean {
    return [...target.addresses].some(
      ([name, wanted]) => indexOf(name) === address.ifindex && wanted.some((one) => isSameAddress(one, address)),
    );
  }

  /** a name that somebody else had may be free now */
  function isFreed(): boolean {
    return target.conditions.some(({ code }) => code === "NAME_TAKEN");
  }

  function isOwn(name: string): boolean {
    const wanted = target.links.get(name);
    return wanted !== undefined && !isPortLink(wanted);
  }

  /** a NIC that was waited for, or one that changed its master or name */
  function isMissedNic(link: Link): boolean {
    for (const { uplink } of intent.vlanConfigs.values()) {
      if (uplink.nics.some((nic) => isNic(nic, link))) return true;
    }
    return false;
  }

  /** in a bond of ours, and nobody wants it there */
  function isIntruder({ master }: Link): boolean {
    if (master === 0) return false;
    return [...target.links.values()].some(({ kind, name }) => kind === "bond" && indexOf(name) === master);
  }
}

function isPortLink({ kind }: TargetLink): boolean {
  return kind === "workload" || kind === "borrowed";
}

/** As no round has compiled it yet. */
function portLink(own: Workload, link: Link): TargetLink {
  return own.device.kind === "existing" ? borrowed(own, link, link.mtu) : workload(own, link.mtu);
}
