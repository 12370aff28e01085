/** The daemon's answers as text for people. Pure. */
import { textTable } from "./text-table.ts";
import type { PortView } from "../api/views.ts";
import type { Status } from "../model/status.ts";

export function probeLines(status: Status): readonly string[] {
  const rows = status.networks.flatMap(({ name, probes }) =>
    probes.map((probe) => [
      name,
      probe.probe.toUpperCase(),
      probe.gateway,
      probe.success ? "ok" : (probe.reason ?? "not yet"),
      probe.rtt === null ? "" : `${(probe.rtt * 1e6).toFixed(0)} µs`,
      probe.detail,
    ]),
  );
  return textTable(["network", "probe", "gateway", "result", "round trip", ""], rows);
}

/** `owners`: host interface -> name of the workload */
export function portLines(ports: readonly PortView[], owners: ReadonlyMap<string, string>): readonly string[] {
  const rows = ports.map((port) => {
    const vlans = port.counters?.vlans ?? [];
    const sum = (of: (v: (typeof vlans)[number]) => bigint | number): string =>
      String(vlans.reduce((total, v) => total + Number(of(v)), 0));
    const drops = Object.values(port.counters?.drops ?? {}).reduce<number>((total, n) => total + Number(n), 0);
    return [
      port.device,
      owners.get(port.device) ?? port.role,
      port.pvid === 0 ? "-" : String(port.pvid),
      port.allowed || "-",
      port.untagged || "-",
      sum((v) => v.rxPackets),
      sum((v) => v.txPackets),
      String(drops),
    ];
  });
  return textTable(["port", "of", "PVID", "VLANs", "untagged", "received", "sent", "dropped"], rows);
}
