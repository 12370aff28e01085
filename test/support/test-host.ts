/**
 * A host under test: a namespace with NICs that the built daemon manages, the far ends of the NICs in a namespace that
 * plays the wire, and workloads attached by the built CNI plugin. Everything is removed when the test ends.
 */
import { execFile } from "node:child_process";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import type { ExecutionContext } from "ava";
import { getJson } from "../../daemon/client/get-json.ts";
import type { PortView } from "../../daemon/api/views.ts";
import { type CniCall, type RuntimeOptions, runCni } from "../../daemon/demo/container-runtime.ts";
import { DaemonProcess, type DaemonPaths } from "../../daemon/demo/daemon-process.ts";
import { Lab, type LabHost } from "../../daemon/demo/lab.ts";
import type { ReceivedFrame } from "../../daemon/kernel/kernel.ts";
import type { DatapathKind } from "../../daemon/model/port.ts";
import type { Status } from "../../daemon/model/status.ts";
import { cniPluginFile, daemonProgram } from "../../daemon/package-files.ts";
import { PATIENCE } from "./until.ts";
import { type TestNic, wiredHost } from "./wired-host.ts";

const run = promisify(execFile);
const START_LIMIT_MS = 20_000 * PATIENCE;
const ANSWER_LIMIT_MS = 5_000 * PATIENCE;

export interface TestHostOptions {
  /** YAML documents */
  readonly intent: string;
  readonly nics?: readonly TestNic[];
  /** false: do not wait until all is as wanted, only until the daemon answers */
  readonly ready?: boolean;
  readonly datapath?: DatapathKind;
  /** the state directory is a file system of its own that is soon full */
  readonly smallState?: boolean;
  /** before the daemon starts */
  readonly prepare?: (host: LabHost) => Promise<void>;
}

export interface Pod {
  readonly name: string;
  readonly host: LabHost;
  readonly call: CniCall;
  readonly result: CniAddResult;
}

export interface CniAddResult {
  readonly interfaces: readonly {
    readonly name: string;
    readonly mac: string;
    readonly sandbox?: string;
    readonly mtu?: number;
  }[];
  readonly ips?: readonly { readonly address: string; readonly gateway?: string; readonly interface?: number }[];
}

export const CLUSTER_NETWORK = (name: string): string => `
apiVersion: network.harvesterhci.io/v1beta1
kind: ClusterNetwork
metadata: { name: ${name} }
`;
export const UPLINK = (clusterNetwork: string, nic: string, mtu = 1500): string => `
apiVersion: network.harvesterhci.io/v1beta1
kind: VlanConfig
metadata: { name: ${clusterNetwork}-uplink }
spec:
  clusterNetwork: ${clusterNetwork}
  uplink: { nics: [${nic}], linkAttributes: { mtu: ${mtu} } }
`;
/** one cluster network `oob` on the NIC `nic0` */
export const OOB = (mtu = 1500): string => `${CLUSTER_NETWORK("oob")}---${UPLINK("oob", "nic0", mtu)}`;
/** one of that cluster network's */
export function network(name: string, vlan: number, route = ""): string {
  return `
apiVersion: portwright.io/v1alpha1
kind: Network
metadata: { name: ${name} }
spec:
  clusterNetwork: oob
  type: L2VlanNetwork
  vlan: ${vlan}
  ${route}
`;
}
export const OOB_VLAN100 = (mtu = 1500): string => `${OOB(mtu)}---${network("vlan100", 100)}`;
/** a tap that anybody might make */
export const TUN = { kind: "tun", tap: { multiQueue: false, owner: null, group: null } } as const;

export class TestHost {
  readonly lab: Lab;
  readonly directory: string;
  readonly host: LabHost;
  /** holds `<nic>` far ends under the same names */
  readonly wire: LabHost;
  daemon: DaemonProcess;
  /** of the next start */
  datapath: DatapathKind | undefined;

  private constructor(lab: Lab, directory: string, host: LabHost, wire: LabHost, daemon: DaemonProcess) {
    this.lab = lab;
    this.directory = directory;
    this.host = host;
    this.wire = wire;
    this.daemon = daemon;
  }

  static async start(t: ExecutionContext, options: TestHostOptions): Promise<TestHost> {
    const { intent, nics = [{ name: "nic0" }], ready = true, prepare, smallState = false, datapath } = options;
    const { lab, directory, host, wire } = await wiredHost(t, nics);
    await writeFile(join(directory, "intent.yaml"), intent);
    if (smallState) await mountSmall(t, join(directory, "state"));
    await prepare?.(host);
    const daemon = await DaemonProcess.start(paths(directory, host, datapath), { ready, limitMs: START_LIMIT_MS });
    const self = new TestHost(lab, directory, host, wire, daemon);
    self.datapath = datapath;
    t.teardown(async () => {
      await self.daemon.stop();
      if (!t.passed) t.log(self.daemon.log);
    });
    return self;
  }

  async restart(): Promise<void> {
    await this.daemon.stop();
    await this.start();
  }

  async start(options: { readonly ready?: boolean } = {}): Promise<void> {
    this.daemon = await DaemonProcess.start(this.paths, { ...options, limitMs: START_LIMIT_MS });
  }

  /** ADD by the plugin, into a new namespace or the pod's own */
  async add(name: string, netconf: Readonly<Record<string, unknown>>, options: { pod?: LabHost } = {}): Promise<Pod> {
    const host = options.pod ?? (await this.lab.host(name));
    const call: CniCall = {
      command: "ADD",
      containerId: name,
      netnsPath: host.path,
      interface: "eth0",
      networkName: "net",
      netconf: { bridge: "oob-br", ...netconf },
    };
    const result = (await runCni(this.runtime, call)) as CniAddResult;
    return { name, host, call, result };
  }

  async del(pod: Pod): Promise<void> {
    await runCni(this.runtime, { ...pod.call, command: "DEL" });
  }

  get runtime(): RuntimeOptions {
    return {
      plugin: cniPluginFile(),
      socket: join(this.directory, "run/cni.sock"),
      stateDirectory: join(this.directory, "state"),
    };
  }

  get paths(): DaemonPaths {
    return paths(this.directory, this.host, this.datapath);
  }

  get readSocket(): string {
    return join(this.directory, "run/read.sock");
  }

  status(): Promise<Status> {
    return this.get<Status>("/v1/status");
  }
  async ports(): Promise<readonly PortView[]> {
    return (await this.get<{ ports: PortView[] }>("/v1/ports")).ports;
  }
  get<T>(path: string): Promise<T> {
    return getJson<T>(this.readSocket, path, ANSWER_LIMIT_MS);
  }
}

async function mountSmall(t: ExecutionContext, directory: string): Promise<void> {
  await mkdir(directory, { mode: 0o700 });
  await run("mount", ["-t", "tmpfs", "-o", "size=128k,mode=0700", "pw-test", directory]);
  t.teardown(() => run("umount", ["-l", directory]));
}

function paths(directory: string, host: LabHost, datapath?: DatapathKind): DaemonPaths {
  return {
    program: daemonProgram(),
    intent: join(directory, "intent.yaml"),
    netns: host.path,
    runDirectory: join(directory, "run"),
    stateDirectory: join(directory, "state"),
    pinRoot: join(directory, "bpf"),
    ...(datapath === undefined ? {} : { datapath }),
  };
}

/** What a tap on a link has seen. */
export interface Tap {
  readonly frames: readonly ReceivedFrame[];
  clear(): void;
  send(frame: Uint8Array): Promise<void>;
}

/** Listens on a link, until the test ends. Tags show as `vlan`. */
export async function tap(t: ExecutionContext, host: LabHost, name: string): Promise<Tap> {
  const link = await host.namespace.link({ name });
  if (!link) throw new Error(`no link ${name} in ${host.name}`);
  const frames: ReceivedFrame[] = [];
  const socket = await host.namespace.openPacketSocket({ ifindex: link.ifindex, promiscuous: true }, (received) => {
    frames.push(...received);
  });
  t.teardown(() => socket.close());
  return {
    frames,
    clear: () => frames.splice(0),
    send: (frame) => socket.send(frame),
  };
}

/** addresses for the stock IPAM plugin "static" */
export function staticIpam(address: string): Readonly<Record<string, unknown>> {
  return { ipam: { type: "static", addresses: [{ address }] } };
}
