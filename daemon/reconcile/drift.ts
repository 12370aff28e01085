/** Does an event of the kernel call for a round? Most do not: they tell of what we did ourselves. Pure. */
import type { NetlinkEvent } from "../kernel/kernel.ts";
import { linkChange } from "../links/link.ts";
import { workload } from "../links/workload.ts";
import type { Workload } from "../model/attachment.ts";
import type { Intent } from "../model/resources.ts";
import type { Target } from "../model/target.ts";

export interface Wanted {
  readonly target: Target;
  readonly intent: Intent;
  /** live, not of the last round: a port that is being removed is not in here any more */
  readonly workloads: readonly Workload[];
  readonly uplinks: ReadonlySet<number>;
}

export function disturbs(event: NetlinkEvent, { target, intent, workloads, uplinks }: Wanted): boolean {
  switch (event.type) {
    case "overrun":
      return true;
    case "address":
      return uplinks.has(event.address.ifindex);
    case "link-gone":
      return isOwn(event.name) || find(event.name) !== undefined;
    case "link": {
      const { link } = event;
      const own = find(link.name);
      if (own) return linkChange(workload(own), link) !== null;
      const wanted = target.links.get(link.name);
      if (wanted && wanted.kind !== "workload") return linkChange(wanted, link) !== null;
      return isMissedNic([link.name, ...link.altNames]);
    }
  }

  function isOwn(name: string): boolean {
    const wanted = target.links.get(name);
    return wanted !== undefined && wanted.kind !== "workload";
  }

  function find(name: string): Workload | undefined {
    return workloads.find(({ hostInterface }) => hostInterface === name);
  }

  /** a NIC that was waited for, or one that changed its master or name */
  function isMissedNic(names: readonly string[]): boolean {
    for (const { uplink } of intent.vlanConfigs.values()) {
      if (uplink.nics.some((nic) => names.includes(nic))) return true;
    }
    return false;
  }
}
