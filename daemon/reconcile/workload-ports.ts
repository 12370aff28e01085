/**
 * Makes and removes the ports of workloads: a device (port-devices.ts), switched. What a cluster network
 * looks like comes from the reconciler (SwitchView); this file does the work for one port.
 */
import type { HostInterface, MadePort, PortMaker, PortRequest, UnmadePort } from "../attach/port-maker.ts";
import { allEnded } from "../async/all-ended.ts";
import type { InnerTaps } from "../attach/workload-ends.ts";
import type { Datapath } from "../datapath/datapath.ts";
import { PortwrightError } from "../errors.ts";
import type { Link, LinkRef, Namespace } from "../kernel/kernel.ts";
import { giveBack } from "../links/borrowed.ts";
import { addressText, isSameAddress } from "../model/addresses.ts";
import { type Attachment, type Workload, workloadMtu } from "../model/attachment.ts";
import { isBorrowed } from "../model/borrowed.ts";
import { gatewayVlan } from "../model/gateways.ts";
import { samePort } from "../model/port.ts";
import { compilePort, type SwitchContext } from "../model/ports.ts";
import { bridgeName, hostLinkNames, type Intent } from "../model/resources.ts";
import { isOurs } from "../model/target.ts";
import { type MadeDevice, PortDevices } from "./port-devices.ts";
import { hostInterfaceOf, workloadMac } from "./workload-names.ts";

export interface WorkloadPortsHost {
  readonly intent: Intent;
  /** the registered workload whose port has this name */
  portOf(hostInterface: string): Workload | undefined;
  /** BRIDGE_UNKNOWN if there is no such switch */
  switchOf(clusterNetwork: string): SwitchContext;
  /** from now on the port is wanted: said before it is made, so that no round takes it for a stranger's */
  register(workload: Workload): void;
  /** the uplink keeps its VLANs for a while: the next workload may well want the same */
  unregister(id: string): void;
  /** a round, soon */
  ask(cause: string): void;
  /** the uplink carries what the registered workloads need */
  refreshUplink(clusterNetwork: string): Promise<void>;
  /** registers it; the host has its gateways, and answers there */
  serveGateways(workload: Workload, forceAddress: boolean): Promise<HostInterface>;
}

export interface WorkloadPortsOptions {
  readonly namespace: Namespace;
  readonly datapath: Datapath;
  readonly host: WorkloadPortsHost;
  readonly taps: InnerTaps;
  /** see PortDevices */
  readonly wireObject: string;
}

export class WorkloadPorts implements PortMaker {
  readonly #namespace: Namespace;
  readonly #datapath: Datapath;
  readonly #host: WorkloadPortsHost;
  readonly #devices: PortDevices;
  readonly #taps: InnerTaps;

  constructor(options: WorkloadPortsOptions) {
    this.#namespace = options.namespace;
    this.#datapath = options.datapath;
    this.#host = options.host;
    this.#devices = new PortDevices(options.namespace, options.wireObject);
    this.#taps = options.taps;
  }

  async make(request: PortRequest): Promise<MadePort> {
    const view = this.#host.switchOf(request.clusterNetwork);
    const mtu = request.mtu || view.mtu;
    if (mtu > view.mtu) {
      throw new PortwrightError(
        "MTU_TOO_LARGE",
        `MTU ${mtu} asked for ${request.id}: cluster network ${request.clusterNetwork} carries ${view.mtu}`,
      );
    }
    const name = hostInterfaceOf(request.id, request.device);
    const owner = this.#host.portOf(name)?.id;
    if (owner !== undefined && owner !== request.id)
      throw new PortwrightError("DEVICE_REFUSED", `${name} is the port of ${owner}`);
    const mac = request.mac || workloadMac(request.id);
    const workload: Workload = { ...request, hostInterface: name, mac, mtu, mtuAsked: request.mtu, state: "pending" };
    const check = this.#devices.check({ ...request, name, mtu }, this.#host.intent);
    if (check !== null) await check;
    this.#host.register(workload);
    let created: MadeDevice;
    try {
      created = await this.#devices.make({ ...request, name, mac, mtu });
    } catch (error) {
      this.#host.unregister(request.id);
      throw error;
    }
    const { ifindex, mac: hostMac } = created;
    try {
      const [bridge] = await allEnded([
        this.#bridgeOf(request.clusterNetwork),
        this.#datapath.setPort(ifindex, compilePort(workload, view).config),
        this.#host.refreshUplink(request.clusterNetwork),
        created.finish(),
      ]);
      return {
        hostInterface: name,
        hostIfindex: ifindex,
        hostMac,
        bridge,
        containerIfindex: created.containerIfindex(),
        mac,
        mtu,
      };
    } catch (error) {
      await Promise.all([created.leave(), this.#remove({ ...request, hostInterface: name, hostIfindex: ifindex })]);
      throw error;
    }
  }

  route(attachment: Attachment, forceAddress: boolean): Promise<HostInterface> {
    return this.#host.serveGateways(attachment, forceAddress);
  }

  made(attachment: Attachment): void {
    this.#host.register(attachment);
    // The network's MTU may have changed while addresses were obtained.
    const { mtu } = this.#host.switchOf(attachment.clusterNetwork);
    if (workloadMtu(attachment, mtu) !== attachment.mtu) this.#host.ask("attach");
  }

  async open(attachment: Attachment): Promise<void> {
    const { ifindex } = await this.#linkOf(attachment);
    this.#host.register(attachment); // first: no round takes the open port for a drift
    try {
      const { clusterNetwork } = attachment;
      await this.#host.refreshUplink(clusterNetwork);
      await this.#datapath.setPort(ifindex, compilePort(attachment, this.#host.switchOf(clusterNetwork)).config);
    } catch (error) {
      this.#host.register({ ...attachment, gated: true });
      throw error;
    }
    await this.#datapath.forgetElsewhere(ifindex, attachment.mac);
  }

  async send(attachment: Attachment, frames: readonly Uint8Array[]): Promise<void> {
    await this.#namespace.receive((await this.#linkOf(attachment)).ifindex, frames);
  }

  async #linkOf(attachment: Attachment): Promise<Link> {
    const link = await this.#namespace.link(portRef(attachment));
    if (link && (isOwnPort(link, attachment) || isBorrowed(link))) return link;
    throw new PortwrightError("CHECK_FAILED", `host interface ${attachment.hostInterface} is gone`);
  }

  async unmake(attachment: UnmadePort): Promise<void> {
    // A veth's other end goes with it; a tap in the workload's namespace does not.
    const inner = attachment.device.kind === "inner-tap" ? this.#taps.removeTap(attachment) : undefined;
    await Promise.all([this.#remove(attachment), inner]);
  }

  async #remove(attachment: Omit<UnmadePort, "netnsPath" | "netns">): Promise<void> {
    this.#host.unregister(attachment.id); // first: that the link goes is what we want, no drift
    // The record may be older than the link: an index that was given out again must not take a stranger's link with it.
    const link = await this.#namespace.link(portRef(attachment));
    if (attachment.device.kind === "existing") return await this.#giveBack(link);
    if (link && isOwnPort(link, attachment)) await this.#namespace.deleteLink({ ifindex: link.ifindex });
    const gone = link?.ifindex ?? attachment.hostIfindex;
    if (gone > 0 && (!link || isOwnPort(link, attachment))) await this.#datapath.forgetPort(gone);
  }

  /** The port first: what it was before may be down, or smaller. A link that is gone takes its port along by a round. */
  async #giveBack(link: Link | null): Promise<void> {
    const change = link && giveBack(link);
    if (!link || !change) return this.#host.ask("detach");
    await this.#datapath.removePort(link.ifindex);
    await this.#namespace.changeLink({ ifindex: link.ifindex }, change.after);
  }

  async #bridgeOf(clusterNetwork: string): Promise<HostInterface> {
    const name = bridgeName(clusterNetwork);
    return { name, mac: (await this.#namespace.link({ name }))?.mac ?? "" };
  }

  async verify(attachment: Attachment): Promise<readonly string[]> {
    const [link, missing] = await Promise.all([
      this.#namespace.link(portRef(attachment)),
      this.#missingGateways(attachment),
    ]);
    if (!link) return [`host interface ${attachment.hostInterface} (index ${attachment.hostIfindex}) is gone`];
    const problems = [...missing];
    if (!isOurs(link) && !isBorrowed(link)) problems.push(`${link.name} does not carry our alias`);
    if (!link.up) problems.push(`${link.name} is down`);
    const view = this.#host.switchOf(attachment.clusterNetwork);
    const wanted = compilePort(attachment, view).config;
    const found = await this.#datapath.inspect(link.ifindex);
    if (!found) return [...problems, `${link.name} is not a port of the switch`];
    if (!found.attached) problems.push(`the switch's program does not hang on ${link.name}`);
    if (!samePort(found.config, wanted)) {
      problems.push(
        `${link.name} has PVID ${found.config.pvid}, VLANs ${found.config.allowed} and MTU ${found.config.mtu}; ` +
          `wanted PVID ${wanted.pvid}, VLANs ${wanted.allowed} and MTU ${wanted.mtu}`,
      );
    }
    return problems;
  }

  async #missingGateways({ clusterNetwork, vlans, gateways }: Attachment): Promise<readonly string[]> {
    if (gateways.length === 0) return [];
    const { device } = hostLinkNames(
      clusterNetwork,
      gatewayVlan(vlans, this.#host.switchOf(clusterNetwork).nativeVlan),
    );
    const link = await this.#namespace.link({ name: device });
    const there = link === null ? [] : await this.#namespace.addresses(link.ifindex);
    const missing = gateways.filter((gateway) => !there.some((one) => isSameAddress(one, gateway)));
    return missing.map((gateway) => `${device} lacks the gateway's address ${addressText(gateway)}`);
  }
}

function isOwnPort(link: Link, { hostInterface }: Pick<Attachment, "hostInterface">): boolean {
  return link.name === hostInterface && isOurs(link);
}

/** Somebody else's link may have gone and come again under its name; so may one that has no index yet. */
function portRef({
  device,
  hostIfindex,
  hostInterface,
}: Pick<Attachment, "device" | "hostIfindex" | "hostInterface">): LinkRef {
  return device.kind === "existing" || hostIfindex === 0 ? { name: hostInterface } : { ifindex: hostIfindex };
}
