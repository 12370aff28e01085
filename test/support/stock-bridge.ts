/** The stock bridge plugin, run in a host's namespace: what we are measured by. */
import { spawn } from "node:child_process";
import type { LabHost } from "../../daemon/demo/lab.ts";
import type { CniAddResult } from "./test-host.ts";

const PLUGIN = "/usr/lib/cni/bridge";

export interface StockCall {
  readonly command: "ADD" | "DEL";
  readonly name: string;
  readonly netns: string;
  readonly netconf: Readonly<Record<string, unknown>>;
}

/** Throws with what it printed if it fails. */
export async function stockBridge(host: LabHost, { command, name, netns, netconf }: StockCall): Promise<CniAddResult> {
  const env = {
    PATH: process.env.PATH ?? "",
    CNI_COMMAND: command,
    CNI_CONTAINERID: name,
    CNI_NETNS: netns,
    CNI_IFNAME: "eth0",
    CNI_PATH: "/usr/lib/cni",
  };
  const child = spawn("nsenter", [`--net=${host.path}`, PLUGIN], { env, stdio: ["pipe", "pipe", "inherit"] });
  let stdout = "";
  child.stdout.on("data", (chunk: Buffer) => (stdout += chunk.toString()));
  child.stdin.end(JSON.stringify({ cniVersion: "1.0.0", name: "stock", type: "bridge", ...netconf }));
  const code = await new Promise<number | null>((resolve) => child.on("close", resolve));
  if (code !== 0) throw new Error(`${command} ${name}: ${stdout}`);
  return (stdout === "" ? {} : JSON.parse(stdout)) as CniAddResult;
}
