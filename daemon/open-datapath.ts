/** The datapath that the daemon was told to use. There is no falling back: what cannot be had is said, with what to do. */
import { readdirSync } from "node:fs";
import { BridgeDatapath } from "./datapath/bridge/bridge-datapath.ts";
import type { Datapath } from "./datapath/datapath.ts";
import { Datapaths } from "./datapath/datapaths.ts";
import { EbpfDatapath } from "./datapath/ebpf/ebpf-datapath.ts";
import { PortwrightError } from "./errors.ts";
import type { KernelFeatures } from "./kernel/features.ts";
import { isKernelError } from "./kernel/kernel-error.ts";
import type { Kernel, Namespace } from "./kernel/kernel.ts";
import { bpfObjectFile } from "./package-files.ts";
import type { Settings } from "./settings.ts";

export interface OpenOptions {
  readonly settings: Pick<Settings, "datapath" | "pinRoot">;
  readonly kernel: Kernel;
  readonly namespace: Namespace;
  readonly features: KernelFeatures;
}

export function openDatapath(options: OpenOptions): Promise<Datapath> {
  return options.settings.datapath === "ebpf" ? openEbpf(options) : openBridge(options);
}

/** Is there something of the eBPF switch here, from a run with another setting? */
export function hasPins(kernel: Pick<Kernel, "isBpffs">, pinRoot: string): boolean {
  return kernel.isBpffs(pinRoot) && readdirSync(pinRoot).length > 0;
}

/** Beside it the kernel's bridge, for cluster networks that are bound to it; it makes nothing until it has a port. */
async function openEbpf({ settings: { pinRoot }, kernel, namespace }: OpenOptions): Promise<Datapath> {
  const ebpf = await openSwitch(kernel, namespace, pinRoot);
  const bridge = new BridgeDatapath(namespace, "this cluster network is bound to the kernel's bridge");
  return new Datapaths(ebpf, { ebpf, bridge });
}

async function openBridge({ settings: { pinRoot }, kernel, namespace, features }: OpenOptions): Promise<Datapath> {
  if (!features.vlanFiltering) {
    throw new PortwrightError("BRIDGE_UNFILTERED", "--datapath bridge: bridges of this kernel do not filter VLANs");
  }
  // Its programs come before the bridge on every port, and would go on switching.
  if (hasPins(kernel, pinRoot)) await (await openSwitch(kernel, namespace, pinRoot)).destroy();
  const bridge = new BridgeDatapath(namespace, "--datapath bridge");
  return new Datapaths(bridge, { bridge });
}

async function openSwitch(kernel: Kernel, namespace: Namespace, pinRoot: string): Promise<EbpfDatapath> {
  try {
    return await EbpfDatapath.open({ kernel, namespace, pinRoot, objectFile: bpfObjectFile() });
  } catch (error) {
    if (!isKernelError(error)) throw error;
    throw new PortwrightError("BPF_UNAVAILABLE", `the eBPF switch cannot be loaded: ${error.message}`, {
      cause: error,
    });
  }
}
