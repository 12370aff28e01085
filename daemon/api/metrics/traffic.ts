/** What the switch counts: frames a port and VLAN, drops a port and reason, flooding, learning. */
import type { Registry } from "prom-client";
import type { PortCounters, VlanCounters } from "../../datapath/datapath.ts";
import type { PortStatus } from "../../model/status.ts";
import { dropDirection } from "./drop-direction.ts";
import { addFamily, type Labels, LabelCache, label, MonotonicSum, type Series } from "./family.ts";
import type { Snapshot, Snapshots } from "./snapshot.ts";

/** A trunk of thousands of VLANs shows those that were ever used: the rest would be series that say nothing. */
const MANY_VLANS = 64;

export function trafficMetrics(registry: Registry, snapshots: Snapshots): void {
  const vlanLabels = new PortLabels();
  const vlanFamilies = [
    ["port_receive_packets_total", "Frames that came in at the port", "rxPackets"],
    ["port_receive_bytes_total", "Bytes that came in at the port", "rxBytes"],
    ["port_transmit_packets_total", "Frames delivered to the port", "txPackets"],
    ["port_transmit_bytes_total", "Bytes delivered to the port", "txBytes"],
  ] as const;
  for (const [name, help, key] of vlanFamilies) {
    addFamily(registry, {
      name,
      help: `${help}, by VLAN`,
      type: "counter",
      read: async () => perVlan(await snapshots.current(), vlanLabels, key),
    });
  }

  const dropLabels = new PortLabels();
  addFamily(registry, {
    name: "port_drops_total",
    help: "Frames dropped by the switch",
    type: "counter",
    read: async () => perDrop(await snapshots.current(), dropLabels),
  });

  const portFamilies = [
    ["port_flood_packets_total", "Frames from the port that were flooded", "floodPackets"],
    ["fdb_limit_hits_total", "Addresses not learned because the port had reached its limit", "fdbLimitHits"],
  ] as const;
  for (const [name, help, key] of portFamilies) {
    const cache = new PortLabels();
    const read = async () => perPort(await snapshots.current(), cache, key);
    addFamily(registry, { name, help, type: "counter", read });
  }

  const moves = new MonotonicSum();
  const moveLabels = new LabelCache();
  addFamily(registry, {
    name: "fdb_moves_total",
    help: "Addresses that moved to a port of the network; empty label: to an uplink or a probe port",
    type: "counter",
    read: async () => perNetwork(await snapshots.current(), moves, moveLabels),
  });
}

/** Label objects of ports: by port, then by VLAN or reason, so that a scrape builds no keys. */
class PortLabels {
  #ports = new Map<number, { readonly device: string; readonly own: Map<string | number, Labels> }>();

  of(port: PortStatus): Map<string | number, Labels> {
    let entry = this.#ports.get(port.ifindex);
    if (entry?.device !== port.device) {
      entry = { device: port.device, own: new Map() };
      this.#ports.set(port.ifindex, entry);
    }
    return entry.own;
  }

  keep(ports: readonly PortStatus[]): void {
    if (this.#ports.size <= ports.length) return;
    const present = new Set(ports.map((p) => p.ifindex));
    for (const ifindex of this.#ports.keys()) if (!present.has(ifindex)) this.#ports.delete(ifindex);
  }
}

function* counted(snapshot: Snapshot): Generator<[PortStatus, PortCounters]> {
  for (const port of snapshot.ports) {
    const counters = snapshot.counters.get(port.ifindex);
    if (counters !== undefined) yield [port, counters];
  }
}

function perVlan(snapshot: Snapshot, cache: PortLabels, key: Exclude<keyof VlanCounters, "vlan">): Series[] {
  const series: Series[] = [];
  for (const [port, { vlans }] of counted(snapshot)) {
    const labels = cache.of(port);
    const device = label(port.device);
    const ownNetwork = label(port.network);
    for (const v of vlans) {
      if (vlans.length > MANY_VLANS && v.rxPackets === 0n && v.txPackets === 0n) continue;
      const network = ownNetwork || label(snapshot.networkOf(port.clusterNetwork, v.vlan));
      let own = labels.get(v.vlan);
      if (own?.network !== network) {
        own = { device, network, vlan: String(v.vlan) };
        labels.set(v.vlan, own);
      }
      series.push({ sharedLabels: own, value: Number(v[key]) });
    }
  }
  cache.keep(snapshot.ports);
  return series;
}

function perDrop(snapshot: Snapshot, cache: PortLabels): Series[] {
  const series: Series[] = [];
  for (const [port, { drops }] of counted(snapshot)) {
    const labels = cache.of(port);
    for (const reason in drops) {
      let own = labels.get(reason);
      if (own === undefined) {
        own = { device: label(port.device), direction: dropDirection(reason), reason: label(reason) };
        labels.set(reason, own);
      }
      series.push({ sharedLabels: own, value: Number(drops[reason]) });
    }
  }
  cache.keep(snapshot.ports);
  return series;
}

function perPort(snapshot: Snapshot, cache: PortLabels, key: "floodPackets" | "fdbLimitHits"): Series[] {
  const series: Series[] = [];
  for (const [port, counters] of counted(snapshot)) {
    const labels = cache.of(port);
    let own = labels.get("");
    if (own === undefined) {
      own = { device: label(port.device) };
      labels.set("", own);
    }
    series.push({ sharedLabels: own, value: Number(counters[key]) });
  }
  cache.keep(snapshot.ports);
  return series;
}

function perNetwork(snapshot: Snapshot, moves: MonotonicSum, cache: LabelCache): Series[] {
  if (!snapshot.complete) return []; // a port that was not read must not be taken for one that has gone
  const parts = [...counted(snapshot)].map(([port, c]) => ({
    id: port.ifindex,
    group: port.network,
    count: c.fdbMoves,
  }));
  const totals = moves.update(parts);
  const groups = new Set(["", ...parts.map((p) => p.group), ...(snapshot.status?.networks.map((n) => n.name) ?? [])]);
  if (snapshot.status !== null) moves.keepGroups(groups);
  return [...groups].map((network) => ({
    sharedLabels: cache.get(network, () => ({ network: label(network) })),
    value: Number(totals.get(network) ?? 0n),
  }));
}
