/** Plays a container runtime: runs the built CNI plugin for a namespace, as containerd or Multus would (CNI SPEC 1.1.0). */
import { runProgram } from "./run-program.ts";

export interface CniCall {
  readonly command: "ADD" | "DEL" | "CHECK" | "GC";
  readonly containerId: string;
  readonly netnsPath: string;
  readonly interface: string;
  readonly networkName: string;
  readonly netconf: Readonly<Record<string, unknown>>;
}

export interface RuntimeOptions {
  /** build/cni/portwright */
  readonly plugin: string;
  /** of the daemon; goes into the configuration, since the plugin takes no path from the environment */
  readonly socket: string;
  readonly stateDirectory: string;
}

/** where the stock IPAM plugins are, on Debian and as CNI's own releases put them */
const CNI_PATH = "/usr/lib/cni:/opt/cni/bin";

export async function runCni(options: RuntimeOptions, call: CniCall): Promise<unknown> {
  const config = {
    cniVersion: "1.0.0",
    name: call.networkName,
    type: "portwright",
    ...call.netconf,
    portwrightSocket: options.socket,
    portwrightStateDir: options.stateDirectory,
  };
  const { ended, stdout, stderr } = await runProgram(options.plugin, [], {
    env: {
      CNI_COMMAND: call.command,
      CNI_CONTAINERID: call.containerId,
      CNI_NETNS: call.netnsPath,
      CNI_IFNAME: call.interface,
      CNI_PATH,
    },
    input: JSON.stringify(config),
    timeoutMs: 30_000,
  });
  if (ended !== 0) {
    const why = stdout.trim() || stderr.trim() || `the plugin ended by ${ended}`;
    throw new Error(`CNI ${call.command} ${call.containerId}: ${why}`);
  }
  return stdout === "" ? null : JSON.parse(stdout);
}
