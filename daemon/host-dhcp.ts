/** DHCP for the host's own interfaces: the clients of the managed namespace, and which of them the intent wants. */
import { closeSync, fstatSync, openSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { startClient } from "./dhcp/client.ts";
import { clientConditions } from "./dhcp/client-conditions.ts";
import { DhcpClients } from "./dhcp/dhcp-clients.ts";
import { LeaseFiles } from "./dhcp/lease-files.ts";
import type { Link, NetnsHandle } from "./kernel/kernel.ts";
import type { Log } from "./log.ts";
import type { Lease } from "./model/lease.ts";
import { hostLinkNames, type Intent } from "./model/resources.ts";
import { type Condition, isOurs } from "./model/target.ts";
import { dhcpProgramDirectory } from "./package-files.ts";
import type { Settings } from "./settings.ts";

export class HostDhcp {
  readonly #netns: number | null;
  readonly #clients: DhcpClients;

  constructor(
    { netns, stateDirectory }: Pick<Settings, "netns" | "stateDirectory">,
    handle: NetnsHandle,
    log: Log,
    onChange: () => void,
  ) {
    this.#netns = netns === null ? null : openSame(netns, handle);
    const place = { netns: this.#netns, programs: dhcpProgramDirectory() };
    this.#clients = new DhcpClients({
      files: new LeaseFiles(join(stateDirectory, "leases"), log),
      start: (device, request, events) => startClient(device, request, place, events),
      log,
      onChange,
    });
  }

  get leases(): ReadonlyMap<string, Lease> {
    return this.#clients.leases;
  }

  conditions(intent: Intent): readonly Condition[] {
    return clientConditions(intent, this.#clients.faults, () => readFileSync("/proc/self/status", "utf8"));
  }

  /** After each round. */
  follow(intent: Intent, links: readonly Link[]): void {
    const wanted = [...intent.hostNetworkConfigs.values()].filter(({ dhcp }) => dhcp);
    this.#clients.want(
      new Map(
        wanted.map(({ clusterNetwork, vlan }) => {
          const { device } = hostLinkNames(clusterNetwork, vlan);
          const link = links.find(({ name }) => name === device);
          return [device, link && isOurs(link) ? { ifindex: link.ifindex, mac: link.mac } : null];
        }),
      ),
    );
  }

  async close(): Promise<void> {
    await this.#clients.close();
    if (this.#netns !== null) closeSync(this.#netns);
  }
}

/** The clients' descriptor of the namespace that the kernel's thread has entered, and of no other that took its path since. */
function openSame(path: string, handle: NetnsHandle): number {
  const fd = openSync(path, "r");
  const { dev, ino } = fstatSync(fd, { bigint: true });
  if (dev === handle.device && ino === handle.inode) return fd;
  closeSync(fd);
  throw new Error(`${path} is not the network namespace any more that it was a moment ago`);
}
