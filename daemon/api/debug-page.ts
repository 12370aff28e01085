/** The overview page of the debug endpoint: one HTML document from one set of readings. Pure. */
import type { FdbEntry, MapUse, PortCounters } from "../datapath/datapath.ts";
import type { PortStatus, Status } from "../model/status.ts";

export interface DebugReadings {
  readonly status: Status;
  readonly ports: readonly PortStatus[];
  readonly counters: readonly PortCounters[];
  readonly fdb: readonly FdbEntry[];
  readonly maps: readonly MapUse[];
}

export function debugPage({ status, ports, counters, fdb, maps }: DebugReadings): string {
  const { datapath, configGeneration: generation } = status;
  const byIfindex = new Map(counters.map((c) => [c.ifindex, c]));
  return page(
    html`<h1>Portwright ${status.version}</h1>
<p>${mark(status.ready, "ready", "not ready")} · namespace ${status.netns} · since ${status.startedAt} ·
datapath ${datapath.kind}, ${datapath.rung}${datapath.reason === "" ? "" : ` (${datapath.reason})`} ·
configuration ${generation.applied} of ${generation.desired}</p>`,
    section("Conditions", ["Object", "Code", "Message"], status.conditions, (c) => [c.object, c.code, c.message]),
    section(
      "Cluster networks",
      ["Name", "Switch", "Bridge", "Uplink", "MTU", "Native VLAN", "State"],
      status.clusterNetworks,
      (c) => [
        c.name,
        c.switchId,
        c.bridge,
        c.uplink === "" ? "none" : `${c.uplink} (${c.bondMode || c.uplinkKind})`,
        c.mtu,
        c.nativeVlan,
        mark(c.ready, "ready", "not ready"),
      ],
    ),
    section(
      "NICs of uplinks",
      ["Cluster network", "NIC", "Interface", "State", "MAC", "LACP partner", "Failures"],
      status.clusterNetworks.flatMap((c) => c.members.map((member) => ({ clusterNetwork: c.name, ...member }))),
      (m) => [
        m.clusterNetwork,
        m.nic,
        m.device,
        mark(m.state === "active" || m.state === "backup", m.state, m.state),
        m.mac,
        m.partner,
        m.failures,
      ],
    ),
    section(
      "Host networks",
      ["Name", "Interface", "Mode", "MAC", "Addresses", "Lease until", "State"],
      status.hostNetworks,
      (h) => [
        h.name,
        h.device,
        h.mode,
        h.mac,
        h.addresses.map(({ address }) => address).join(" "),
        h.lease?.expiresAt ?? "",
        mark(h.ready, "ready", "not ready"),
      ],
    ),
    section("Networks", ["Name", "Cluster network", "Type", "VLANs", "MTU", "Ports", "State"], status.networks, (n) => [
      n.name,
      n.clusterNetwork,
      n.type,
      n.trunk === "" ? n.vlan || "untagged" : n.trunk,
      n.mtu,
      n.ports,
      mark(n.up, "up", "down"),
    ]),
    section(
      "Probes",
      ["Network", "Probe", "Gateway", "Result", "Round trip", "Attempts", "Failures", "Last success", "Detail"],
      status.networks.flatMap((n) => n.probes),
      (p) => [
        p.network,
        p.probe,
        p.gateway,
        p.lastAttempt === null ? "not yet" : mark(p.success, "ok", p.reason ?? "failed"),
        p.rtt === null ? "" : `${(p.rtt * 1000).toFixed(3)} ms`,
        p.attempts,
        p.failures,
        p.lastSuccess ?? "never",
        p.detail,
      ],
    ),
    section(
      "Ports",
      [
        "Device",
        "Role",
        "Network",
        "PVID",
        "Allowed",
        "Untagged",
        "MTU",
        "State",
        "In",
        "Out",
        "Dropped",
        "Flooded",
        "Addresses",
        "Attachment",
      ],
      ports,
      (p) => {
        const c = byIfindex.get(p.ifindex);
        return [
          p.device,
          p.role,
          p.network === "" ? p.clusterNetwork : p.network,
          p.pvid,
          p.allowed,
          p.untagged,
          p.mtu,
          mark(p.up && p.carrier && p.attached, "up", !p.attached ? "no program" : p.up ? "no carrier" : "down"),
          sum(c, "rxPackets"),
          sum(c, "txPackets"),
          drops(c),
          c?.floodPackets ?? "",
          c?.learned ?? "",
          p.attachment,
        ];
      },
    ),
    section("Address table", ["VLAN", "Addresses", "Static"], fdbByVlan(fdb), (row) => row),
    section("BPF maps", ["Map", "Entries", "Of", "Used"], maps, (m) => [
      m.map,
      m.entries,
      m.maxEntries,
      m.maxEntries === 0 ? "" : `${((100 * m.entries) / m.maxEntries).toFixed(1)} %`,
    ]),
    html`<p>JSON: ${links(["status", "ports", "networks", "fdb", "maps", "attachments", "heap"])} ·
<a href="/metrics">metrics</a> · <a href="/healthz">healthz</a> · <a href="/readyz">readyz</a> · <a href="/openapi.json">API</a></p>`,
  );
}

function fdbByVlan(fdb: readonly FdbEntry[]): [string, number, number][] {
  const rows = new Map<string, [string, number, number]>();
  for (const e of fdb) {
    const key = `${e.vlan} (switch ${e.switchId})`;
    const row = rows.get(key) ?? [key, 0, 0];
    row[1]++;
    if (e.isStatic) row[2]++;
    rows.set(key, row);
  }
  return [...rows.values()].sort(([a], [b]) => a.localeCompare(b, "en", { numeric: true }));
}

function sum(counters: PortCounters | undefined, key: "rxPackets" | "txPackets"): string {
  return counters === undefined ? "" : counters.vlans.reduce((total, v) => total + v[key], 0n).toString();
}

function drops(counters: PortCounters | undefined): string {
  if (counters === undefined) return "";
  const some = Object.entries(counters.drops).filter(([, count]) => count > 0n);
  return some.length === 0 ? "0" : some.map(([reason, count]) => `${reason} ${count}`).join(", ");
}

// ---- markup ----------------------------------------------------------------------------------------------------------

/** Text that is markup already; everything else is escaped when it is put into `html`. */
class Markup {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
}
type Cell = string | number | bigint | Markup;

function html(parts: TemplateStringsArray, ...values: readonly Cell[]): Markup {
  return new Markup(parts.reduce((text, part, i) => text + escape(values[i - 1] ?? "") + part));
}

function escape(value: Cell): string {
  if (value instanceof Markup) return value.text;
  return String(value).replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);
}

function join(parts: readonly Markup[]): Markup {
  return new Markup(parts.map((p) => p.text).join(""));
}

function mark(good: boolean, yes: string, no: string): Markup {
  return html`<b class="${good ? "good" : "bad"}">${good ? yes : no}</b>`;
}

function links(names: readonly string[]): Markup {
  return join(names.map((n) => html`<a href="/debug/${n}">${n}</a> `));
}

function section<T>(
  title: string,
  heads: readonly string[],
  rows: readonly T[],
  cells: (row: T) => readonly Cell[],
): Markup {
  if (rows.length === 0) return html`<h2>${title}</h2><p class="none">none</p>`;
  const head = join(heads.map((h) => html`<th>${h}</th>`));
  const body = join(rows.map((r) => html`<tr>${join(cells(r).map((c) => html`<td>${c}</td>`))}</tr>\n`));
  return html`<h2>${title} <small>${rows.length}</small></h2>
<div><table><thead><tr>${head}</tr></thead><tbody>
${body}</tbody></table></div>`;
}

const STYLE = `:root{color-scheme:light dark}body{font:14px/1.45 system-ui,sans-serif;margin:1.5rem;max-width:110rem}
h1{font-size:1.4rem;margin:0}h2{font-size:1.05rem;margin:1.6rem 0 .4rem}small,.none{opacity:.6;font-weight:normal}
div{overflow-x:auto}table{border-collapse:collapse;font-variant-numeric:tabular-nums}
th,td{text-align:left;padding:.2rem .8rem .2rem 0;border-bottom:1px solid #8884;white-space:nowrap;vertical-align:top}
.good{color:#1a7f37}.bad{color:#cf222e}@media(prefers-color-scheme:dark){.good{color:#4ac26b}.bad{color:#ff7b72}}`;

function page(...parts: readonly Markup[]): string {
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Portwright</title>
<style>${STYLE}</style></head><body>
${join(parts).text}
</body></html>
`;
}
