/** How the networks are: gauges from the daemon's status, its probes, its maps. */
import type { Registry } from "prom-client";
import type { ProbeReport } from "../../model/probe.ts";
import type { NetworkStatus } from "../../model/status.ts";
import { addFamily, LabelCache, label, type Series } from "./family.ts";
import type { Snapshot, Snapshots } from "./snapshot.ts";

export function stateMetrics(registry: Registry, snapshots: Snapshots, version: string): void {
  const gauge = (name: string, help: string, read: (snapshot: Snapshot, cache: LabelCache) => Series[]) => {
    const cache = new LabelCache();
    addFamily(registry, {
      name,
      help,
      type: "gauge",
      read: async () => {
        const series = read(await snapshots.current(), cache);
        cache.sweep();
        return series;
      },
    });
  };
  const perNetwork = (name: string, help: string, value: (network: NetworkStatus) => number) =>
    gauge(name, help, (snapshot, cache) =>
      (snapshot.status?.networks ?? []).map((n) => ({
        sharedLabels: cache.get(n.name, () => ({ network: label(n.name) })),
        value: value(n),
      })),
    );
  const perProbe = (name: string, help: string, value: (report: ProbeReport) => number) =>
    gauge(name, help, (snapshot, cache) =>
      attempted(snapshot).map((p) => ({
        sharedLabels: cache.get(`${p.probe} ${p.network}`, () => ({ network: label(p.network), probe: p.probe })),
        value: value(p),
      })),
    );

  perNetwork("network_up", "1 if the uplink is up and no probe of the network fails", (n) => (n.up ? 1 : 0));
  perNetwork("network_mtu_bytes", "MTU of the network", (n) => n.mtu);
  perProbe("probe_success", "1 if the last probe succeeded", (p) => (p.success ? 1 : 0));
  perProbe("probe_last_success_timestamp_seconds", "When a probe last succeeded; 0: never since the start", (p) =>
    p.lastSuccess === null ? 0 : Date.parse(p.lastSuccess) / 1000,
  );

  gauge("uplink_member_up", "1 if the NIC carries its uplink's traffic, or could at once", (snapshot, cache) =>
    (snapshot.status?.clusterNetworks ?? []).flatMap((c) =>
      c.members.map(({ nic, device, state }) => ({
        sharedLabels: cache.get(`${c.name} ${device || nic}`, () => {
          return { cluster_network: label(c.name), device: label(device || nic) };
        }),
        value: state === "active" || state === "backup" ? 1 : 0,
      })),
    ),
  );
  gauge("fdb_entries", "Addresses that the switch knows; empty label: in VLANs of no network", (snapshot, cache) => {
    const counts = new Map(snapshot.status?.networks.map((n) => [n.name, 0]));
    for (const { switchId, vlan, entries } of snapshot.fdb) {
      const network = snapshot.networkOf(snapshot.clusterNetworkOf(switchId), vlan);
      counts.set(network, (counts.get(network) ?? 0) + entries);
    }
    return [...counts].map(([network, value]) => ({
      sharedLabels: cache.get(network, () => ({ network: label(network) })),
      value,
    }));
  });

  for (const [name, help, key] of [
    ["bpf_map_entries", "Entries in the BPF map", "entries"],
    ["bpf_map_max_entries", "Entries that the BPF map can hold", "maxEntries"],
  ] as const) {
    gauge(name, help, (snapshot, cache) =>
      snapshot.maps.map((m) => ({ sharedLabels: cache.get(m.map, () => ({ map: label(m.map) })), value: m[key] })),
    );
  }

  gauge("config_generation", "Generation of the configuration, wanted and in force", (snapshot, cache) =>
    snapshot.status === null
      ? []
      : (["desired", "applied"] as const).map((stage) => ({
          sharedLabels: cache.get(stage, () => ({ stage })),
          value: snapshot.status?.configGeneration[stage] ?? 0,
        })),
  );

  gauge("build_info", "The daemon's version and datapath", ({ status }, cache) => {
    const datapath = status?.datapath.rung ?? "";
    const make = () => ({ version: label(version), node: process.version, datapath: label(datapath) });
    return [{ sharedLabels: cache.get(datapath, make), value: 1 }];
  });
}

/** Before the first attempt there is nothing to say, neither success nor failure. */
function attempted(snapshot: Snapshot): ProbeReport[] {
  return (snapshot.status?.networks ?? []).flatMap((n) => n.probes.filter((p) => p.lastAttempt !== null));
}
