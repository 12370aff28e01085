/** `portwright check`: intent files, offline. */
import { hostname } from "node:os";
import { parseArgs } from "node:util";
import { IntentErrors, loadIntent } from "../intent/intent.ts";

export async function checkCommand(args: readonly string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: { "node-name": { type: "string", default: hostname() } },
  });
  if (positionals.length === 0) throw new Error("check: name the files or directories to read");
  try {
    const intent = await loadIntent(positionals, { nodeName: values["node-name"], nodeLabels: {} });
    const { clusterNetworks, vlanConfigs, networks } = intent;
    const counts = [
      count(clusterNetworks.size, "cluster network"),
      `${count(vlanConfigs.size, "uplink")} on this host`,
      count(networks.size, "network"),
    ];
    process.stdout.write(`${counts.join(", ")}\n`);
    return 0;
  } catch (error) {
    if (!(error instanceof IntentErrors)) throw error;
    for (const one of error.errors) process.stderr.write(`${one.toString()}\n`);
    return 1;
  }
}

function count(n: number, what: string): string {
  return `${n} ${what}${n === 1 ? "" : "s"}`;
}
