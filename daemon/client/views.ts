/** The daemon's answers as text for people. Pure. */
import { textTable } from "./text-table.ts";
import type { PortView } from "../api/views.ts";
import type { PlanView, StepView, TransactionStatus } from "../model/transaction.ts";
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

/** NICs of uplinks; nothing where there are none. */
export function memberLines({ clusterNetworks }: Status): readonly string[] {
  const rows = clusterNetworks.flatMap(({ name, members }) =>
    members.map(({ nic, device, state, mac, partner, failures }) => [
      name,
      nic || "(leaves)",
      device || "-",
      state,
      mac || "-",
      partner || "-",
      String(failures),
    ]),
  );
  if (rows.length === 0) return [];
  return ["", ...textTable(["cluster network", "NIC", "interface", "state", "MAC", "LACP partner", "failures"], rows)];
}

/** The host's own interfaces; nothing where there are none. */
export function hostNetworkLines({ hostNetworks }: Status): readonly string[] {
  const rows = hostNetworks.map(({ name, device, mode, mac, addresses, lease, ready }) => [
    name,
    device,
    mode,
    mac || "-",
    addresses.map(({ address, state }) => (state === "ready" ? address : `${address} (${state})`)).join(" ") || "-",
    lease === null ? "-" : lease.expiresAt,
    ready ? "ready" : "not ready",
  ]);
  if (rows.length === 0) return [];
  return ["", ...textTable(["host network", "interface", "mode", "MAC", "addresses", "lease until", "state"], rows)];
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

/** The change that is under way, or how the last one ended. */
export function transactionLines({
  phase,
  id,
  secondsLeft,
  last,
  generation,
  savedAt,
}: TransactionStatus): readonly string[] {
  const good =
    generation === 0 ? "no good intent is kept yet" : `last good intent: generation ${generation}, of ${savedAt}`;
  if (phase === "waiting") {
    const left = `${secondsLeft ?? 0} s left`;
    return [good, `CHANGE ${id} IS NOT CONFIRMED: "portwright confirm" keeps it, else it is rolled back (${left})`];
  }
  if (phase !== "idle") return [good, `change ${id} is under way: ${phase}`];
  if (last === null || last.result === "committed" || last.result === "unchanged") return [good];
  return [good, `change ${last.id} was ${last.result === "refused" ? "refused" : "rolled back"}: ${last.reason}`];
}

export function planLines({ steps, impact, conditions }: PlanView): readonly string[] {
  const wrong = conditions.map(({ code, object, message }) => `${object}: ${message} [${code}]`);
  const still = wrong.length === 0 ? [] : ["", "What would be wrong still:", ...wrong.map((line) => `  ${line}`)];
  if (steps.length === 0) return ["Nothing to do: the host is as these files want it.", ...still];
  const noticed = new Set(steps.flatMap(({ touches }) => touches));
  const sum = { none: "No traffic notices", blip: "Some frames may be lost", outage: "TRAFFIC IS CUT OFF" }[impact];
  const who = noticed.size === 0 ? "" : `, at ${[...noticed].slice(0, 12).join(", ")}${more(noticed.size - 12)}`;
  return [...stepLines(steps), "", `${steps.length} ${steps.length === 1 ? "step" : "steps"}. ${sum}${who}.`, ...still];
}

export function stepLines(steps: readonly StepView[]): readonly string[] {
  return steps.map(({ text, touches }) => {
    const who =
      touches.length === 0 ? "" : `  (noticed by ${touches.slice(0, 4).join(", ")}${more(touches.length - 4)})`;
    return `  ${text}${who}`;
  });
}

function more(count: number): string {
  return count > 0 ? ` and ${count} more` : "";
}
