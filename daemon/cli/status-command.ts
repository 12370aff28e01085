/** `portwright status`: what the daemon says of itself, as text or as it came. */
import { parseArgs } from "node:util";
import type { PortView } from "../api/views.ts";
import { getJson } from "../client/get-json.ts";
import { textTable } from "../client/text-table.ts";
import { hostNetworkLines, memberLines, portLines, probeLines, transactionLines } from "../client/views.ts";
import type { Status } from "../model/status.ts";

export async function statusCommand(args: readonly string[], defaultSocket: string): Promise<number> {
  const { values } = parseArgs({
    args: [...args],
    options: { socket: { type: "string", default: defaultSocket }, json: { type: "boolean", default: false } },
  });
  const [status, { ports }] = await Promise.all([
    getJson<Status>(values.socket, "/v1/status"),
    getJson<{ ports: PortView[] }>(values.socket, "/v1/ports"),
  ]);
  if (values.json) {
    process.stdout.write(`${JSON.stringify({ ...status, ports }, null, 2)}\n`);
    return status.ready ? 0 : 1;
  }
  const { datapath, configGeneration: generation } = status;
  const lines = [
    `portwrightd ${status.version}, since ${status.startedAt}, namespace ${status.netns}, ${status.ready ? "ready" : "NOT READY"}`,
    `datapath ${datapath.kind}, ${datapath.rung}${datapath.reason === "" ? "" : ` (${datapath.reason})`}`,
    `configuration ${generation.applied} of ${generation.desired} in force`,
    ...transactionLines(status.transaction),
    "",
    ...textTable(
      ["cluster network", "bridge", "uplink", "by", "MTU", "native", "state"],
      status.clusterNetworks.map((c) => [
        c.name,
        c.bridge,
        c.uplink || "-",
        c.bondMode || c.uplinkKind,
        String(c.mtu),
        String(c.nativeVlan),
        c.ready ? "ready" : "not ready",
      ]),
    ),
    ...memberLines(status),
    ...hostNetworkLines(status),
    "",
    ...probeLines(status),
    "",
    ...portLines(ports, new Map(ports.flatMap((p) => (p.attachment === "" ? [] : [[p.device, p.attachment]])))),
    ...status.conditions.map(({ code, object, message }) => `\n${object}: ${message} [${code}]`),
  ];
  process.stdout.write(`${lines.join("\n")}\n`);
  return status.ready ? 0 : 1;
}
