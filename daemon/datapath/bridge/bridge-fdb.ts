/** The addresses that bridges of ours know, as the kernel tells them (RTM_GETNEIGH, AF_BRIDGE). */
import { isKernelError } from "../../kernel/kernel-error.ts";
import type { Link, Namespace, Neighbour } from "../../kernel/kernel.ts";
import type { FdbCount, FdbEntry } from "../datapath.ts";
import { switchOf } from "./bridge-port.ts";

const AF_BRIDGE = 7;
/** uapi/linux/neighbour.h: of a device's own filter, not of its bridge (which sets no flag); given by hand; a port's own */
const NTF_SELF = 0x02;
const NUD_NOARP = 0x40;
const NUD_PERMANENT = 0x80;

export class BridgeFdb {
  readonly #namespace: Pick<Namespace, "neighbours" | "removeNeighbour">;

  constructor(namespace: Pick<Namespace, "neighbours" | "removeNeighbour">) {
    this.#namespace = namespace;
  }

  async read(links: readonly Link[]): Promise<readonly FdbEntry[]> {
    const switches = new Map(links.map((link) => [link.ifindex, switchOf(link)]));
    const ports = new Map(links.flatMap(({ ifindex, master }) => pair(ifindex, switches.get(master))));
    if (ports.size === 0) return [];
    return fdbEntries(await this.#namespace.neighbours(AF_BRIDGE), ports);
  }

  /** What these ports have learned of an address. */
  async forget(mac: string, ports: ReadonlySet<number>): Promise<void> {
    const found = (await this.#namespace.neighbours(AF_BRIDGE)).filter(
      (entry) => entry.mac === mac && ports.has(entry.ifindex) && isLearned(entry),
    );
    for (const entry of found) await this.#namespace.removeNeighbour(entry).catch(unlessGone);
  }
}

function isLearned({ state, flags }: Neighbour): boolean {
  return (flags & NTF_SELF) === 0 && (state & (NUD_NOARP | NUD_PERMANENT)) === 0;
}

/** It aged, or moved, a moment ago. */
function unlessGone(error: unknown): void {
  if (!isKernelError(error, "ENOENT")) throw error;
}

/** `ports`: switch id by interface index */
export function fdbEntries(neighbours: readonly Neighbour[], ports: ReadonlyMap<number, number>): readonly FdbEntry[] {
  return neighbours.flatMap(({ ifindex, mac, vlan, state, flags, updated = 0 }): FdbEntry[] => {
    const switchId = ports.get(ifindex);
    // Without a VLAN it is the address of a device in the bridge, which no frame is switched by where VLANs are filtered.
    if (switchId === undefined || vlan === undefined || (flags & NTF_SELF) !== 0) return [];
    if ((state & NUD_PERMANENT) !== 0) return [];
    const isStatic = (state & NUD_NOARP) !== 0;
    return [{ mac, switchId, vlan, ifindex, isStatic, age: isStatic ? 0 : updated }];
  });
}

export function countByDomain(entries: readonly FdbEntry[]): readonly FdbCount[] {
  const counts = new Map<string, FdbCount>();
  for (const { switchId, vlan } of entries) {
    const key = `${switchId} ${vlan}`;
    counts.set(key, { switchId, vlan, entries: (counts.get(key)?.entries ?? 0) + 1 });
  }
  return [...counts.values()];
}

function pair(ifindex: number, switchId: number | null | undefined): readonly (readonly [number, number])[] {
  return switchId === null || switchId === undefined ? [] : [[ifindex, switchId]];
}
