/**
 * The demo's top-of-rack switch: a trunk toward the host and a port for each gateway. It is a second instance of the
 * same switch, in a namespace of its own; what is on the wire between the two is proved by tests with raw frames.
 */
import { mkdir } from "node:fs/promises";
import { EbpfDatapath } from "../datapath/ebpf/ebpf-datapath.ts";
import type { Kernel } from "../kernel/kernel.ts";
import { membership, type PortConfig, UNRESTRICTED } from "../model/port.ts";
import { VlanSet } from "../model/vlan-set.ts";
import { removePinRoot } from "../pin-root.ts";
import type { Lab, LabHost } from "./lab.ts";
import { gateways, NATIVE_VLAN, SWITCH_TRUNK, UPLINK } from "./topology.ts";

const MTU = 1500;
const SWITCH_ID = 0;

export class PhysicalSwitch {
  readonly #datapath: EbpfDatapath;
  readonly #kernel: Kernel;
  readonly #pinRoot: string;

  private constructor(kernel: Kernel, datapath: EbpfDatapath, pinRoot: string) {
    this.#kernel = kernel;
    this.#datapath = datapath;
    this.#pinRoot = pinRoot;
  }

  /** Cables the host and the gateways to it. */
  static async build(
    kernel: Kernel,
    lab: Lab,
    host: LabHost,
    objectFile: string,
    pinRoot: string,
  ): Promise<PhysicalSwitch> {
    const chassis = await lab.host("switch");
    await mkdir(pinRoot, { recursive: true, mode: 0o700 });
    kernel.mountBpffs(pinRoot);
    const datapath = await EbpfDatapath.open({ kernel, namespace: chassis.namespace, pinRoot, objectFile });
    const self = new PhysicalSwitch(kernel, datapath, pinRoot);
    const trunk = await lab.cable({ host: chassis, interface: SWITCH_TRUNK }, { host, interface: UPLINK });
    const tagged = VlanSet.from(gateways.map(({ vlan }) => vlan).filter((vlan) => vlan !== NATIVE_VLAN));
    await datapath.setPort(trunk.a, port(membership({ mode: "trunk", tagged, native: NATIVE_VLAN }, NATIVE_VLAN)));
    for (const { name, vlan, address } of gateways) {
      const gateway = await lab.host(name);
      const cable = await lab.cable({ host: chassis, interface: name }, { host: gateway, interface: "eth0" });
      // On link with every other network of the demo, as the workloads are: see topology.ts.
      await gateway.namespace.addAddress({ ifindex: cable.b, address, prefixLength: 8 });
      await datapath.setPort(cable.a, port(membership({ mode: "access", vlan }, NATIVE_VLAN)));
    }
    return self;
  }

  async dispose(): Promise<void> {
    await this.#datapath.destroy();
    removePinRoot(this.#kernel, this.#pinRoot);
  }
}

function port(vlans: Pick<PortConfig, "pvid" | "allowed" | "untagged">): PortConfig {
  return {
    kind: "veth",
    switchId: SWITCH_ID,
    ...vlans,
    ...UNRESTRICTED,
    mtu: MTU,
    uplink: false,
    peer: true,
    datapath: "ebpf",
  };
}
