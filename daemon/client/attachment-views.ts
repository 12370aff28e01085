/** Attachments and ports as text for people. Pure. */
import type { AttachmentView, PortView } from "../api/views.ts";
import { textTable } from "./text-table.ts";

/** What an attach made, in a line. */
export function attachmentLine(made: AttachmentView): string {
  const { id, network, mac, mtu, hostInterface, ips } = made;
  const addresses = ips.map(({ address, prefixLength }) => `, ${address}/${prefixLength}`).join("");
  return `attached ${id} to ${network}: ${deviceText(made)}, port ${hostInterface}, MAC ${mac}, MTU ${mtu}${addresses}`;
}

/** All ports, those of workloads with their attachments; and attachments that have none now. */
export function attachmentTable(ports: readonly PortView[], attachments: readonly AttachmentView[]): readonly string[] {
  const byId = new Map(attachments.map((one) => [one.id, one]));
  const rows = ports.map((port) => {
    const of = byId.get(port.attachment);
    const vlans = port.counters?.vlans ?? [];
    const sum = (which: "rxPackets" | "txPackets"): string =>
      String(vlans.reduce((total, vlan) => total + Number(vlan[which]), 0));
    return [
      port.attachment || port.role,
      port.network || port.clusterNetwork || "-",
      port.device,
      of === undefined ? "-" : of.device.kind,
      of?.mac ?? "-",
      port.pvid === 0 ? "-" : String(port.pvid),
      port.allowed || "-",
      String(port.mtu),
      stateOf(port, of),
      sum("rxPackets"),
      sum("txPackets"),
      String(Object.values(port.counters?.drops ?? {}).reduce<number>((total, n) => total + Number(n), 0)),
    ];
  });
  const shown = new Set(ports.map(({ attachment }) => attachment));
  for (const one of attachments) {
    if (shown.has(one.id)) continue;
    const { id, network, hostInterface, device, mac, mtu, state } = one;
    const said = state === "pending" ? "pending" : "absent";
    rows.push([id, network, hostInterface, device.kind, mac, "-", "-", String(mtu), said, "-", "-", "-"]);
  }
  const head = ["attachment", "network", "port", "device", "MAC", "PVID", "VLANs", "MTU", "state", "received", "sent"];
  return textTable([...head, "dropped"], rows);
}

function stateOf({ up, carrier, attached }: PortView, of: AttachmentView | undefined): string {
  if (of?.state === "pending" || of?.state === "gated") return of.state;
  if (!attached) return "no program";
  if (!up || carrier) return up ? "up" : "down";
  return of?.containerDown === true ? "left down" : "no carrier";
}

function deviceText({ device, interface: name, netnsPath }: AttachmentView): string {
  switch (device.kind) {
    case "veth":
      return `${name} in ${netnsPath}`;
    case "inner-tap":
      return `tap ${name} in ${netnsPath}`;
    case "tap":
      return `tap ${device.name ?? ""}`;
    case "existing":
      return device.name ?? "";
  }
}
