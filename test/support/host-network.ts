/** Tests of the host's own interfaces: their intent, and stations in VLANs behind the uplink. */
import { execFile, spawn } from "node:child_process";
import { mkdir, writeFile } from "node:fs/promises";
import { hostname } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import type { ExecutionContext } from "ava";
import type { LabHost } from "../../daemon/demo/lab.ts";
import { EbpfDatapath } from "../../daemon/datapath/ebpf/ebpf-datapath.ts";
import { nativeKernel } from "../../daemon/kernel/native.ts";
import { membership, type PortConfig } from "../../daemon/model/port.ts";
import type { HostNetworkStatus } from "../../daemon/model/status.ts";
import { VlanSet } from "../../daemon/model/vlan-set.ts";
import { PLAIN_PORT } from "../peers/port-config.ts";
import { bpfObjectFile } from "../../daemon/package-files.ts";
import { removePinRoot } from "../../daemon/pin-root.ts";
import type { TestHost } from "./test-host.ts";

const run = promisify(execFile);

export const HOST_NETWORK = (name: string, vlan: number, spec: string, clusterNetwork = "oob"): string => `
apiVersion: network.harvesterhci.io/v1beta1
kind: HostNetworkConfig
metadata: { name: ${name} }
spec: { clusterNetwork: ${clusterNetwork}, vlanID: ${vlan}, ${spec} }
`;
/** mode static; the node is this machine */
export const STATIC = (address: string): string => `mode: static, ips: { ${JSON.stringify(hostname())}: ${address} }`;

/** The far end of a host's uplink is `nic0` in `wire`. */
export type Wire = Pick<TestHost, "lab" | "wire" | "directory">;

export class WireSwitch {
  readonly #h: Wire;
  readonly #datapath: EbpfDatapath;

  private constructor(h: Wire, datapath: EbpfDatapath) {
    this.#h = h;
    this.#datapath = datapath;
  }

  /** What the far end of the uplink hangs on: a switch of ours in the wire's namespace, with these VLANs tagged. */
  static async build(t: ExecutionContext, h: Wire, vlans: readonly number[]): Promise<WireSwitch> {
    const kernel = nativeKernel();
    const pinRoot = join(h.directory, "wire-bpf");
    await mkdir(pinRoot, { recursive: true, mode: 0o700 });
    kernel.mountBpffs(pinRoot);
    const { namespace } = h.wire;
    const datapath = await EbpfDatapath.open({ kernel, namespace, pinRoot, objectFile: bpfObjectFile() });
    t.teardown(async () => {
      await datapath.destroy();
      removePinRoot(kernel, pinRoot);
    });
    const trunk = await namespace.link({ name: "nic0" });
    if (!trunk) throw new Error("the wire has no nic0");
    await datapath.setPort(
      trunk.ifindex,
      port(membership({ mode: "trunk", tagged: VlanSet.from(vlans), native: 0 }, 1)),
    );
    return new WireSwitch(h, datapath);
  }

  /** A station in a namespace of its own, on an access port. */
  async station(name: string, vlan: number, ...addresses: readonly string[]): Promise<LabHost> {
    const host = await this.#h.lab.host(name);
    const cable = await this.#h.lab.cable({ host: this.#h.wire, interface: name }, { host, interface: "eth0" });
    for (const text of addresses) {
      const [address = "", length] = text.split("/");
      await host.namespace.addAddress({ ifindex: cable.b, address, prefixLength: Number(length), noDad: true });
    }
    await this.#datapath.setPort(cable.a, port(membership({ mode: "access", vlan }, 1)));
    return host;
  }
}

function port(vlans: Pick<PortConfig, "pvid" | "allowed" | "untagged">): PortConfig {
  return { ...PLAIN_PORT, ...vlans };
}

/** one echo from the host */
export async function pings(from: { readonly path: string }, address: string, seconds = 1): Promise<boolean> {
  const ping = ["ping", "-n", "-q", "-c", "1", "-W", `${seconds}`, address];
  return await run("nsenter", [`--net=${from.path}`, ...ping]).then(
    () => true,
    () => false,
  );
}

export async function hostNetwork(h: TestHost, name: string): Promise<HostNetworkStatus> {
  const found = (await h.status()).hostNetworks.find((one) => one.name === name);
  if (!found) throw new Error(`no host network ${name}`);
  return found;
}

/** BusyBox's DHCP server on a station; it ends with the test, or when told. */
export async function dhcpServer(
  t: ExecutionContext,
  station: LabHost,
  directory: string,
  options: { readonly first: string; readonly last: string; readonly lease: number; readonly device?: string },
): Promise<{ readonly log: () => string; stop(): Promise<void> }> {
  const configuration = join(directory, `udhcpd-${station.name}.conf`);
  const leases = join(directory, `udhcpd-${station.name}.leases`);
  await writeFile(leases, "");
  await writeFile(
    configuration,
    [
      `start ${options.first}`,
      `end ${options.last}`,
      `interface ${options.device ?? "eth0"}`,
      `lease_file ${leases}`,
      `pidfile ${join(directory, `udhcpd-${station.name}.pid`)}`,
      "option subnet 255.255.255.0",
      "option router 10.100.0.1",
      "option dns 10.100.0.1",
      "min_lease 10",
      `option lease ${options.lease}`,
      "",
    ].join("\n"),
  );
  const args = [`--net=${station.path}`, "setpriv", "--pdeathsig", "KILL", "busybox", "udhcpd", "-f", configuration];
  const child = spawn("nsenter", args, { stdio: ["ignore", "pipe", "pipe"] });
  let text = "";
  child.stdout.on("data", (chunk: Buffer) => (text += chunk.toString()));
  child.stderr.on("data", (chunk: Buffer) => (text += chunk.toString()));
  const gone = new Promise<void>((resolve) => child.on("exit", () => resolve()));
  const stop = async (): Promise<void> => {
    child.kill("SIGKILL");
    await gone;
  };
  t.teardown(stop);
  return { log: () => text, stop };
}
