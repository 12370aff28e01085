/**
 * Makes and removes the ports of workloads: a veth into the container's namespace, switched. What a cluster network
 * looks like comes from the reconciler (SwitchView); this file does the work for one port.
 */
import type { HostInterface, MadePort, PortMaker, PortRequest } from "../attach/port-maker.ts";
import type { Datapath } from "../datapath/datapath.ts";
import { PortwrightError } from "../errors.ts";
import { isKernelError } from "../kernel/kernel-error.ts";
import type { Link, Namespace } from "../kernel/kernel.ts";
import { addressText, isSameAddress } from "../model/addresses.ts";
import { type Attachment, type Workload, workloadMtu } from "../model/attachment.ts";
import { gatewayVlan } from "../model/gateways.ts";
import { samePort } from "../model/port.ts";
import { compilePort, type SwitchContext } from "../model/ports.ts";
import { hostLinkNames } from "../model/resources.ts";
import { attachmentAlias, isOurs } from "../model/target.ts";
import { hostInterfaceName, workloadMac } from "./workload-names.ts";

export interface WorkloadPortsHost {
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

export class WorkloadPorts implements PortMaker {
  readonly #namespace: Namespace;
  readonly #datapath: Datapath;
  readonly #host: WorkloadPortsHost;

  constructor(namespace: Namespace, datapath: Datapath, host: WorkloadPortsHost) {
    this.#namespace = namespace;
    this.#datapath = datapath;
    this.#host = host;
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
    const name = hostInterfaceName(request.id);
    const mac = request.mac || workloadMac(request.id);
    const workload: Workload = { ...request, hostInterface: name, mac, mtu, mtuAsked: request.mtu, state: "pending" };
    this.#host.register(workload);
    let created: { ifindex: number; peerIfindex: number };
    try {
      created = await this.#createVeth(request, name, mac, mtu);
    } catch (error) {
      this.#host.unregister(request.id);
      throw error;
    }
    const { ifindex, peerIfindex } = created;
    try {
      // All of them come to an end, also when one fails: undoing must not overtake what is still being done.
      const results = await Promise.allSettled([
        this.#macOf(ifindex),
        this.#datapath.setPort(ifindex, compilePort(workload, view).config),
        this.#host.refreshUplink(request.clusterNetwork),
        request.containerDown ? undefined : this.#bringUp(request, peerIfindex),
      ]);
      for (const result of results) if (result.status === "rejected") throw result.reason;
      const hostMac = results[0].status === "fulfilled" ? results[0].value : "";
      return { hostInterface: name, hostIfindex: ifindex, hostMac, containerIfindex: peerIfindex, mac, mtu };
    } catch (error) {
      await this.unmake({ ...request, hostInterface: name, hostIfindex: ifindex });
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

  async unmake(attachment: Pick<Attachment, "id" | "hostInterface" | "hostIfindex" | "clusterNetwork">): Promise<void> {
    const { hostIfindex: ifindex, hostInterface: name } = attachment;
    this.#host.unregister(attachment.id); // first: that the link goes is what we want, no drift
    // The record may be older than the link: an index that was given out again must not take a stranger's link with it.
    const link = ifindex > 0 ? await this.#namespace.link({ ifindex }) : await this.#namespace.link({ name });
    if (link && isOwnPort(link, attachment)) await this.#namespace.deleteLink({ ifindex: link.ifindex });
    const gone = link?.ifindex ?? ifindex;
    if (gone > 0 && (!link || isOwnPort(link, attachment))) await this.#datapath.removePort(gone);
  }

  async verify(attachment: Attachment): Promise<readonly string[]> {
    const link = await this.#namespace.link({ ifindex: attachment.hostIfindex });
    if (!link) return [`host interface ${attachment.hostInterface} (index ${attachment.hostIfindex}) is gone`];
    const problems = [...(await this.#missingGateways(attachment))];
    if (!isOurs(link)) problems.push(`${link.name} does not carry our alias`);
    if (!link.up) problems.push(`${link.name} is down`);
    const view = this.#host.switchOf(attachment.clusterNetwork);
    const wanted = compilePort(attachment, view).config;
    const found = await this.#datapath.inspect(attachment.hostIfindex);
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

  async #createVeth(
    request: PortRequest,
    name: string,
    mac: string,
    mtu: number,
  ): Promise<{ ifindex: number; peerIfindex: number }> {
    try {
      return await this.#namespace.createLink({
        kind: "veth",
        name,
        mtu,
        up: true,
        // The host's own stack stays off the port, also if the program were taken away: no ARP, no IPv6 address.
        noArp: true,
        noIpv6LinkLocal: true,
        alias: attachmentAlias(request.clusterNetwork, request.network, request.id),
        peer: { name: request.interface, netns: request.netns, mac, mtu },
      });
    } catch (error) {
      if (!isKernelError(error, "EEXIST")) throw error;
      const host = await this.#namespace.link({ name });
      throw new PortwrightError(
        "INTERFACE_EXISTS",
        host
          ? `host interface ${name} for ${request.id} exists already`
          : `interface ${request.interface} exists already in ${request.netnsPath}`,
        { cause: error },
      );
    }
  }

  async #macOf(ifindex: number): Promise<string> {
    const link = await this.#namespace.link({ ifindex });
    return link?.mac ?? "";
  }

  async #bringUp(request: PortRequest, ifindex: number): Promise<void> {
    await (await request.container).changeLink({ ifindex }, { up: true });
  }
}

function isOwnPort(link: Link, { hostInterface }: Pick<Attachment, "hostInterface">): boolean {
  return link.name === hostInterface && isOurs(link);
}
