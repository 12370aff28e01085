/** The same pods behind different datapaths. Each has a host namespace of its own. */
import { EbpfDatapath } from "../../daemon/datapath/ebpf/ebpf-datapath.ts";
import type { LabHost } from "../../daemon/demo/lab.ts";
import type { LinkData } from "../../daemon/kernel/kernel.ts";
import type { PortConfig } from "../../daemon/model/port.ts";
import { membership, type PortVlans } from "../../daemon/model/port.ts";
import { VlanSet } from "../../daemon/model/vlan-set.ts";
import { kernelFeatures } from "../../daemon/kernel/features.ts";
import { bpfObjectFile } from "../../daemon/package-files.ts";
import { station } from "../peers/frames.ts";
import { PLAIN_PORT } from "../peers/port-config.ts";
import type { Scope } from "./scope.ts";
import { introduce, loadBench, needsChangeType, payloadFrame, program } from "./traffic.ts";

export const VLAN = 100;
const MTU = 1500;

export interface Pod {
  readonly host: LabHost;
  /** eth0 */
  readonly ifindex: number;
  /** the veth's end in the host */
  readonly port: number;
  readonly mac: string;
}

export interface Bed {
  readonly host: LabHost;
  readonly pods: readonly Pod[];
}

/** What `connect` makes a switch of. */
export type Connect = (scope: Scope, bed: Bed, nic: number | null) => Promise<void>;

/** A host with pods and, if asked for, a NIC "nic0" whose far end is the last of the pods' namespaces. */
export async function build(
  scope: Scope,
  name: string,
  count: number,
  connect: Connect,
  options: { readonly nic?: boolean; readonly addresses?: boolean } = {},
): Promise<Bed & { readonly wire: Pod | null }> {
  const host = await scope.host(name);
  const pods: Pod[] = [];
  for (let i = 0; i < count + (options.nic ? 1 : 0); i++) {
    const isNic = i === count;
    const end = await scope.host(isNic ? `${name}-wire` : `${name}-pod${i}`);
    const names = isNic ? ["nic0", "far0"] : [`pod${i}`, "eth0"];
    const cable = await scope.lab.cable(
      { host, interface: names[0] ?? "", mtu: MTU },
      { host: end, interface: names[1] ?? "", mtu: MTU },
    );
    const mac = station(i + 1);
    await end.namespace.changeLink({ ifindex: cable.b }, { mac });
    if (options.addresses) {
      await end.namespace.addAddress({ ifindex: cable.b, address: `10.0.0.${i + 1}`, prefixLength: 24 });
    }
    pods.push({ host: end, ifindex: cable.b, port: cable.a, mac });
  }
  const wire = options.nic ? (pods.pop() ?? null) : null;
  await connect(scope, { host, pods }, wire?.port ?? null);
  return { host, pods, wire };
}

/** Lets the switch learn where a pod is; the frame goes to nobody. */
export async function announce(pod: Pod, vlan = 0): Promise<void> {
  await introduce(pod.host, pod.ifindex, payloadFrame(pod.mac, station(0xfff), vlan));
}

// ---- contenders

/** The product's switch: pods on one VLAN, the NIC a trunk. */
export const portwright: Connect = async (scope, { host, pods }, nic) => {
  const datapath = await EbpfDatapath.open({
    kernel: scope.kernel,
    namespace: host.namespace,
    pinRoot: await scope.pinRoot(`bpf-${host.name}`),
    objectFile: bpfObjectFile(),
  });
  scope.defer(() => datapath.destroy());
  for (const { port } of pods) await datapath.setPort(port, portConfig({ mode: "access", vlan: VLAN }));
  const trunk = { mode: "trunk", tagged: VlanSet.parse("100,200"), native: 1 } as const;
  if (nic !== null) await datapath.setPort(nic, { ...portConfig(trunk), kind: "nic", uplink: true, peer: false });
  await datapath.settle(Number.POSITIVE_INFINITY); // as ports are a few seconds after they came
};

function portConfig(vlans: PortVlans): PortConfig {
  return { ...PLAIN_PORT, ...membership(vlans, 1) };
}

/** The kernel's bridge as `ip link add type bridge` makes it, but not calling netfilter for what it forwards. */
export const linuxBridge: Connect = async (_scope, bed, nic) => {
  await enslaveAll(bed, nic, {});
};

/** The same with VLAN filtering: pods are access ports, the NIC a trunk. */
export const filteringBridge: Connect = async (_scope, bed, nic) => {
  await enslaveAll(bed, nic, { vlanDefaultPvid: 0, vlanFiltering: true });
  const { namespace } = bed.host;
  for (const { port } of bed.pods)
    await namespace.setBridgeVlans(port, [{ first: VLAN, last: VLAN, pvid: true, untagged: true }]);
  if (nic !== null) await namespace.setBridgeVlans(nic, [{ first: VLAN, last: VLAN }]);
};

async function enslaveAll({ host, pods }: Bed, nic: number | null, data: LinkData): Promise<void> {
  const { ifindex } = await host.namespace.createLink({ name: "br0", kind: "bridge", up: true, data });
  // br_netfilter, where the kernel has it, is on in a new namespace and would cost the bridge nearly half of its speed.
  for (const key of ["iptables", "ip6tables", "arptables"]) {
    await host.namespace.writeSysctl(`net/bridge/bridge-nf-call-${key}`, "0").catch(() => undefined);
  }
  for (const port of [...pods.map((pod) => pod.port), ...(nic === null ? [] : [nic])]) {
    await host.namespace.changeLink({ ifindex: port }, { master: ifindex });
  }
}

/** From the first pod to the second by bpf_redirect_peer, whatever comes. */
export function blind(objectFile: string): Connect {
  return async (scope, { host, pods }) => {
    const [from, to] = pods;
    if (!from || !to) throw new Error("blind needs two pods");
    const constants = { blind_to: to.port, blind_change: needsChangeType() };
    const object = await loadBench(scope, host, objectFile, constants);
    const link = await host.namespace.bpf.attachTcx(program(object, "blind"), from.port);
    scope.defer(() => link.close());
  };
}

/** Whether the kernel's bridge knows VLANs (CONFIG_BRIDGE_VLAN_FILTERING). */
export async function canFilter(scope: Scope): Promise<boolean> {
  const { namespace } = await scope.host(`filter${filters++}`);
  return (await kernelFeatures(namespace)).vlanFiltering;
}

let filters = 0;
