/** Plays a container runtime: runs the built CNI plugin for a namespace, as containerd or Multus would (CNI SPEC 1.1.0). */
import { execFile } from "node:child_process";

export interface CniCall {
  readonly command: "ADD" | "DEL" | "CHECK";
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

export function runCni(options: RuntimeOptions, call: CniCall): Promise<unknown> {
  const config = {
    cniVersion: "1.0.0",
    name: call.networkName,
    type: "portwright",
    ...call.netconf,
    portwrightSocket: options.socket,
    portwrightStateDir: options.stateDirectory,
  };
  return new Promise((resolve, reject) => {
    const child = execFile(
      options.plugin,
      {
        env: {
          CNI_COMMAND: call.command,
          CNI_CONTAINERID: call.containerId,
          CNI_NETNS: call.netnsPath,
          CNI_IFNAME: call.interface,
          CNI_PATH,
        },
        timeout: 30_000,
      },
      (error, stdout, stderr) => {
        if (error) {
          reject(
            new Error(`CNI ${call.command} ${call.containerId}: ${stdout.trim() || stderr.trim() || error.message}`),
          );
        } else {
          resolve(stdout === "" ? null : JSON.parse(stdout));
        }
      },
    );
    child.stdin?.end(JSON.stringify(config));
  });
}
