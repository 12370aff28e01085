/**
 * What a datapath does, whichever carries it out: `ebpf/` (the VLAN switch in BPF) or, for hosts without BPF, the
 * kernel bridge. Only this interface is known above.
 */
import type { Link } from "../kernel/kernel.ts";
import type { DatapathKind, PortConfig } from "../model/port.ts";
import type { ObservedPort } from "../model/target.ts";

/** How frames reach a port, best first; status shows which rung of the ladder this kernel stands on, and why. */
export interface Rung {
  readonly name: "tcx+peer" | "clsact+peer" | "clsact+redirect" | "bridge";
  /** why not a better one; empty on the first rung */
  readonly reason: string;
}

export interface VlanCounters {
  readonly vlan: number;
  readonly rxPackets: bigint;
  readonly rxBytes: bigint;
  readonly txPackets: bigint;
  readonly txBytes: bigint;
}
export interface PortCounters {
  readonly ifindex: number;
  readonly portId: number;
  readonly vlans: readonly VlanCounters[];
  /** by reason, as in drop-reasons.ts; all reasons are there, at 0 too */
  readonly drops: Readonly<Record<string, bigint>>;
  readonly floodPackets: bigint;
  readonly fdbMoves: bigint;
  readonly fdbLimitHits: bigint;
  readonly fdbFull: bigint;
  readonly learned: number;
}

export interface FdbEntry {
  readonly mac: string;
  readonly switchId: number;
  readonly vlan: number;
  readonly ifindex: number;
  readonly isStatic: boolean;
  /** s since a frame with this source was seen; 0 for static ones */
  readonly age: number;
}

/** Addresses known in one VLAN of one switch. */
export interface FdbCount {
  readonly switchId: number;
  readonly vlan: number;
  readonly entries: number;
}

export type DatapathEvent = {
  readonly type: "fdb-move" | "fdb-learn" | "fdb-full" | "fdb-limit" | "sticky-move";
  readonly mac: string;
  readonly switchId: number;
  readonly vlan: number;
  readonly ifindex: number;
  readonly fromIfindex: number;
};

export interface MapUse {
  readonly map: string;
  readonly entries: number;
  readonly maxEntries: number;
}

export interface Datapath {
  readonly rung: Rung;
  /** reads the kernel anew; `links` are being read just now, so that no port is newer than they are */
  observe(links: Promise<readonly Link[]>): Promise<readonly ObservedPort[]>;
  /** one port, read from the kernel; null if the link is no port */
  inspect(ifindex: number): Promise<ObservedPort | null>;
  /** interface indexes of ports whose link has lost its program; no event tells of that, so it is asked every second */
  unhooked(): Promise<readonly number[]>;
  /** creates or changes the port of the link in place; frames flow when it resolves. Keeps learned addresses. */
  setPort(ifindex: number, config: PortConfig): Promise<ObservedPort>;
  /**
   * Brings at most so many ports into the form in which they switch best; returns how many are left to look at. To be
   * called when the host has time for it: each may hold up changes of links for some 10 ms, never a frame.
   */
  settle(atMost: number): Promise<number>;
  /**
   * Forgets the port and its counters, and in a moment its addresses; harmless if it or its link is gone. `datapath`:
   * only if it is a port there.
   */
  removePort(ifindex: number, datapath?: DatapathKind): Promise<void>;
  /** The same for a link that is known to be gone. */
  forgetPort(ifindex: number): Promise<void>;
  /** Forgets what other ports of its switch have learned of an address that is at this port from now on. */
  forgetElsewhere(ifindex: number, mac: string): Promise<void>;
  counters(): Promise<readonly PortCounters[]>;
  fdb(): Promise<readonly FdbEntry[]>;
  /** how many addresses each VLAN of each switch has; cheap, unlike the entries themselves */
  fdbCounts(): Promise<readonly FdbCount[]>;
  /** removes entries not seen for maxAge seconds; returns how many. Called about every 10 s. */
  age(maxAge: number): Promise<number>;
  mapUse(): Promise<readonly MapUse[]>;
  onEvents(listener: (events: readonly DatapathEvent[]) => void): void;
  /** lets go of descriptors; what is pinned goes on switching */
  close(): Promise<void>;
  /** removes programs, pins and maps: nothing of this datapath is left in the kernel */
  destroy(): Promise<void>;
}
