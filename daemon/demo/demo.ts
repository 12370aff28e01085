/**
 * The demo, from an empty machine to workloads switched by VLAN: namespaces play the host, the physical switch, the
 * gateways and the workloads; the daemon and the CNI plugin are the built ones. Everything is taken down again.
 */
import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { PortView } from "../api/views.ts";
import { getJson } from "../client/get-json.ts";
import type { Kernel } from "../kernel/kernel.ts";
import type { Status } from "../model/status.ts";
import { removePinRoot } from "../pin-root.ts";
import { type CniCall, type RuntimeOptions, runCni } from "./container-runtime.ts";
import { DaemonProcess } from "./daemon-process.ts";
import { Lab, type LabHost } from "./lab.ts";
import { type Cell, measureMatrix, pingFrom } from "./matrix.ts";
import { PhysicalSwitch } from "./physical-switch.ts";
import { TaggedHost } from "./tagged-host.ts";
import { CONTAINER_INTERFACE, type Endpoint, type Workload, workloads } from "./topology.ts";

export interface DemoFiles {
  readonly daemon: string;
  readonly plugin: string;
  readonly bpfObject: string;
  readonly intent: string;
}

/** Namespaces and directories of one demo carry the process id: two can run, and a dead one's leavings are known. */
export const DEMO_DIRECTORY = "/run/portwright-demo-";
export const DEMO_NETNS = "pwdemo-";

const PROBES_WITHIN_MS = 15_000;

interface Attached {
  readonly workload: Workload;
  readonly host: LabHost;
  readonly call: CniCall;
}

export class Demo {
  readonly #kernel: Kernel;
  readonly #files: DemoFiles;
  readonly #say: (line: string) => void;
  readonly #directory = `${DEMO_DIRECTORY}${process.pid}`;
  readonly #lab: Lab;
  readonly #attached: Attached[] = [];
  readonly #tagged = new Map<string, TaggedHost>();
  #switch: PhysicalSwitch | null = null;
  #daemon: DaemonProcess | null = null;

  constructor(kernel: Kernel, files: DemoFiles, say: (line: string) => void) {
    this.#kernel = kernel;
    this.#files = files;
    this.#say = say;
    this.#lab = new Lab(kernel, `${DEMO_NETNS}${process.pid}`);
  }

  /** Ends early, by the signal's reason, between two steps; what was built is for `dispose` to remove. */
  async build(signal?: AbortSignal): Promise<void> {
    await mkdir(this.#directory, { mode: 0o700 });
    this.#say("network: namespaces for the host, a physical switch and three gateways");
    const host = await this.#lab.host("host");
    this.#switch = await PhysicalSwitch.build(
      this.#kernel,
      this.#lab,
      host,
      this.#files.bpfObject,
      this.#path("switch-bpf"),
    );
    signal?.throwIfAborted();
    this.#say(`daemon: portwrightd manages the namespace ${host.path} by ${this.#files.intent}`);
    this.#daemon = await DaemonProcess.start({
      program: this.#files.daemon,
      intent: this.#files.intent,
      netns: host.path,
      runDirectory: this.#path("run"),
      stateDirectory: this.#path("state"),
      pinRoot: this.#path("bpf"),
    });
    for (const workload of workloads) {
      signal?.throwIfAborted();
      const { vlan, vlanTrunk } = workload.netconf as { vlan?: number; vlanTrunk?: { id: number }[] };
      const how = vlanTrunk
        ? `trunk of ${vlanTrunk.map(({ id }) => id).join(", ")}`
        : vlan
          ? `VLAN ${vlan}`
          : "untagged";
      this.#say(`workload: ${workload.name}, ${how}, attached by the CNI plugin`);
      await this.#attach(workload);
    }
  }

  async matrix(): Promise<readonly Cell[]> {
    return await measureMatrix((from, to) => this.#ping(from, to));
  }

  status(): Promise<Status> {
    return getJson<Status>(this.#readSocket, "/v1/status");
  }

  async ports(): Promise<readonly PortView[]> {
    return (await getJson<{ ports: PortView[] }>(this.#readSocket, "/v1/ports")).ports;
  }

  /** Status once every probe has had its first answer, or as it is when the time is over. */
  async probed(): Promise<Status> {
    const limit = Date.now() + PROBES_WITHIN_MS;
    for (;;) {
      const status = await this.status();
      const probes = status.networks.flatMap((network) => network.probes);
      if ((probes.length > 0 && probes.every((probe) => probe.success)) || Date.now() > limit) return status;
      await sleep(250);
    }
  }

  /** host interface -> workload, as the daemon knows it */
  async owners(): Promise<ReadonlyMap<string, string>> {
    const ports = await this.ports();
    return new Map(
      ports.filter(({ attachment }) => attachment !== "").map((p) => [p.device, p.attachment.split("/")[0] ?? ""]),
    );
  }

  /** where the daemon's HTTP listener is; its port was the kernel's choice */
  async httpUrl(): Promise<string> {
    return (await this.status()).http;
  }

  get sockets(): { readonly cni: string; readonly read: string } {
    return { cni: this.#path("run/cni.sock"), read: this.#readSocket };
  }

  get daemonLog(): string {
    return this.#daemon?.log ?? "";
  }

  /** Detaches the workloads as a runtime would, then removes everything. Goes on after a failure and tells the first. */
  async dispose(): Promise<void> {
    const failures: unknown[] = [];
    const attempt = async (work: () => unknown): Promise<void> => {
      try {
        await work();
      } catch (error) {
        failures.push(error);
      }
    };
    for (const host of this.#tagged.values()) await attempt(() => host.close());
    for (const { call } of this.#attached.splice(0)) {
      await attempt(() => runCni(this.#runtime, { ...call, command: "DEL" }));
    }
    await attempt(() => this.#daemon?.stop());
    await attempt(() => this.#switch?.dispose());
    await attempt(() => this.#lab.dispose());
    await attempt(() => removePinRoot(this.#kernel, this.#path("bpf")));
    await attempt(() => rm(this.#directory, { recursive: true, force: true }));
    if (failures.length > 0) throw failures[0];
  }

  async #attach(workload: Workload): Promise<void> {
    const host = await this.#lab.host(workload.name);
    const call: CniCall = {
      command: "ADD",
      containerId: workload.name,
      netnsPath: host.path,
      interface: CONTAINER_INTERFACE,
      networkName: workload.networkName,
      netconf: workload.netconf,
    };
    await runCni(this.#runtime, call);
    this.#attached.push({ workload, host, call });
    if (workload.tagged) {
      this.#tagged.set(workload.name, await TaggedHost.open(host.namespace, CONTAINER_INTERFACE, workload.addresses));
    }
  }

  async #ping(from: Endpoint, to: Endpoint): Promise<boolean> {
    const tagged = this.#tagged.get(from.owner);
    if (tagged) return await tagged.ping(from.vlan, to.address, 1000);
    const attached = this.#attached.find(({ workload }) => workload.name === from.owner);
    if (!attached) throw new Error(`no workload ${from.owner}`);
    return await pingFrom(attached.host.path, to.address);
  }

  get #runtime(): RuntimeOptions {
    return { plugin: this.#files.plugin, socket: this.#path("run/cni.sock"), stateDirectory: this.#path("state") };
  }

  get #readSocket(): string {
    return this.#path("run/read.sock");
  }

  #path(name: string): string {
    return join(this.#directory, name);
  }
}
