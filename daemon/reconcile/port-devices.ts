/**
 * The devices that a workload's port can be, made in the kernel: each kind its own way, all or nothing. The switch is
 * not their concern.
 */
import type { PortRequest } from "../attach/port-maker.ts";
import { PortwrightError } from "../errors.ts";
import { isKernelError } from "../kernel/kernel-error.ts";
import type { CreatedLink, Link, LinkCreate, Namespace } from "../kernel/kernel.ts";
import { borrow, borrowed } from "../links/borrowed.ts";
import type { TapOptions } from "../model/attachment.ts";
import { borrowFault, isBorrowed } from "../model/borrowed.ts";
import type { Intent } from "../model/resources.ts";
import { attachmentAlias } from "../model/target.ts";
import { makeInnerTap } from "./inner-tap.ts";
import { innerEndName, workloadMac } from "./workload-names.ts";

export interface DeviceRequest
  extends Pick<
    PortRequest,
    "id" | "interface" | "netnsPath" | "clusterNetwork" | "network" | "workload" | "device" | "containerDown"
  > {
  /** of the link in the host's namespace */
  readonly name: string;
  /** the workload's own */
  readonly mac: string;
  readonly mtu: number;
}

export interface MadeDevice {
  /** of the link that becomes the port */
  readonly ifindex: number;
  readonly mac: string;
  /** of the interface in the workload's namespace; 0: none */
  readonly containerIfindex: () => number;
  /** brings up what is in the workload's namespace; may run while the port is set */
  finish(): Promise<void>;
  /** what is in the workload's namespace and would not go with the port */
  leave(): Promise<void>;
}

/** The host's own stack stays off the port, also if the program were taken away: no ARP, no IPv6 address. */
const QUIET = { noArp: true, noIpv6LinkLocal: true } as const;

const HOST_ONLY = { containerIfindex: () => 0, finish: async () => {}, leave: async () => {} };

export class PortDevices {
  readonly #namespace: Namespace;
  /** of the program that joins a tap and a veth */
  readonly #wireObject: string;

  constructor(namespace: Namespace, wireObject: string) {
    this.#namespace = namespace;
    this.#wireObject = wireObject;
  }

  /** What can be known of before anything is made. `intent`: its NICs are not to be had. null: of this kind, nothing. */
  check(
    request: Pick<DeviceRequest, "name" | "device" | "mtu">,
    intent: Pick<Intent, "vlanConfigs">,
  ): Promise<void> | null {
    const { kind } = request.device;
    return kind === "veth" || kind === "inner-tap" ? null : this.#check(request, intent);
  }

  async #check(
    { name, device, mtu }: Pick<DeviceRequest, "name" | "device" | "mtu">,
    intent: Pick<Intent, "vlanConfigs">,
  ): Promise<void> {
    const [links, addresses] = await Promise.all([this.#namespace.links(), this.#namespace.addresses()]);
    const link = links.find((one) => one.name === name);
    if (device.kind === "tap") {
      if (link) throw new PortwrightError("INTERFACE_EXISTS", `a link named ${name} is there already`);
      return;
    }
    if (!link) throw new PortwrightError("DEVICE_ABSENT", `there is no link ${name}`);
    const fault = borrowFault(link, mtu, { links, addresses, intent }) ?? (await this.#foreignProgram(link));
    if (fault !== null) throw new PortwrightError("DEVICE_REFUSED", fault);
  }

  async make(request: DeviceRequest): Promise<MadeDevice> {
    const { device } = request;
    switch (device.kind) {
      case "veth":
        return await this.#veth(request);
      case "inner-tap":
        return await this.#innerTap(request, device.tap);
      case "tap":
        return await this.#tap(request, device.tap);
      case "existing":
        return await this.#existing(request);
    }
  }

  async #veth(request: DeviceRequest): Promise<MadeDevice> {
    const { netns } = workloadOf(request);
    const { name, mac, mtu } = request;
    const peer = { name: request.interface, netns, mac, mtu };
    const made = await this.#create({ kind: "veth", name, ...this.#portSettings(request), peer }, request);
    const { peerIfindex } = made;
    const finish = async (): Promise<void> => {
      if (!request.containerDown) await this.#namespace.changeLinkIn(netns, { ifindex: peerIfindex }, { up: true });
    };
    return { ...made, containerIfindex: () => peerIfindex, finish, leave: async () => {} };
  }

  async #innerTap(request: DeviceRequest, tap: TapOptions): Promise<MadeDevice> {
    const workload = workloadOf(request);
    const { netns } = workload;
    const peer = { name: innerEndName(request.id), netns, mtu: request.mtu };
    const made = await this.#create(
      { kind: "veth", name: request.name, ...this.#portSettings(request), peer },
      request,
    );
    let tapIfindex = 0;
    const finish = async (): Promise<void> => {
      tapIfindex = await makeInnerTap(await workload.enter(), this.#wireObject, {
        ...{ name: request.interface, mtu: request.mtu, innerEnd: made.peerIfindex, tap, netnsPath: request.netnsPath },
        alias: aliasOf(request),
        // KubeVirt takes the VM's MAC from it; no stack and no bridge ever sees a frame that could be mistaken for its own.
        mac: request.mac,
        up: !request.containerDown,
      });
    };
    const leave = async (): Promise<void> => {
      if (tapIfindex > 0) await (await workload.enter()).deleteLink({ ifindex: tapIfindex });
    };
    return { ...made, containerIfindex: () => tapIfindex, finish, leave };
  }

  async #tap(request: DeviceRequest, { queues, owner, group }: TapOptions): Promise<MadeDevice> {
    const tap = { multiQueue: queues > 1, owner, group };
    // Not the VM's MAC: the kernel, or its bridge (--datapath bridge), would take frames for it as the host's own.
    const mac = workloadMac(`tap ${request.id}`);
    const made = await this.#create(
      { kind: "tun", name: request.name, ...this.#portSettings(request), mac, tap },
      request,
    );
    return { ...made, ...HOST_ONLY };
  }

  async #existing(request: DeviceRequest): Promise<MadeDevice> {
    const link = await this.#namespace.link({ name: request.name });
    if (link === null) throw new PortwrightError("DEVICE_ABSENT", `there is no link ${request.name}`);
    const settings = borrow(borrowed(request, link, request.mtu), link);
    await this.#namespace.changeLink({ ifindex: link.ifindex }, settings);
    return { ifindex: link.ifindex, mac: link.mac, ...HOST_ONLY };
  }

  #portSettings(request: DeviceRequest) {
    return { mtu: request.mtu, up: true, ...QUIET, alias: aliasOf(request) };
  }

  async #create(spec: LinkCreate, request: DeviceRequest): Promise<CreatedLink> {
    try {
      return await this.#namespace.createLink(spec);
    } catch (error) {
      if (!isKernelError(error, "EEXIST")) throw error;
      const host = await this.#namespace.link({ name: request.name });
      throw new PortwrightError(
        "INTERFACE_EXISTS",
        host
          ? `host interface ${request.name} for ${request.id} exists already`
          : `interface ${spec.peer?.name ?? ""} exists already in ${request.netnsPath}`,
        { cause: error },
      );
    }
  }

  /** A program of ours is there only if the link is borrowed already. */
  async #foreignProgram(link: Link): Promise<string | null> {
    if (isBorrowed(link)) return null;
    const hooks = await this.#namespace.bpf.usedHooks(link.ifindex);
    return hooks.length === 0 ? null : `${link.name} has a program or filter of somebody else's: ${hooks.join(", ")}`;
  }
}

function aliasOf({ clusterNetwork, network, id }: DeviceRequest): string {
  return attachmentAlias(clusterNetwork, network, id);
}

function workloadOf({ workload, id, device }: DeviceRequest): NonNullable<DeviceRequest["workload"]> {
  if (workload === null) throw new TypeError(`${id}: device ${device.kind} needs a namespace of the workload's`);
  return workload;
}
