/**
 * Ports of workloads on bridges that are not managed: what the stock bridge plugin does, all or nothing, and found again by
 * the record. No round looks at them.
 */
import { KeyedLock } from "../async/keyed-lock.ts";
import type { HostInterface, MadePort, PortMaker, PortRequest, UnmadePort } from "../attach/port-maker.ts";
import { PortwrightError } from "../errors.ts";
import { isKernelError } from "../kernel/kernel-error.ts";
import type { Link } from "../kernel/kernel.ts";
import { addressText, isSameAddress } from "../model/addresses.ts";
import type { Attachment, LocalBridge, Workload } from "../model/attachment.ts";
import { families } from "../model/gateways.ts";
import { localAlias, localGatewayName, localMembership, localSettings, localVlan } from "../model/local-bridge.ts";
import type { Membership } from "../model/port.ts";
import { VlanSet } from "../model/vlan-set.ts";
import { forward, working } from "../reconcile/host-links.ts";
import { hostInterfaceName, workloadMac } from "../reconcile/workload-names.ts";
import { ensureBridge, ensureGateways, ensureVlanInterface, isLocalPort, type LocalHost, setVlans } from "./bridge.ts";

const AF_BRIDGE = 7;
const NUD_NOARP = 0x40; // an entry of a bridge that does not age and does not move: static
const NTF_MASTER = 0x04;

export class LocalPorts implements PortMaker {
  readonly #host: LocalHost;
  /** by name of the bridge */
  readonly #locks = new KeyedLock<string>();

  constructor(host: LocalHost) {
    this.#host = host;
  }

  async make(request: PortRequest): Promise<MadePort> {
    const { namespace } = this.#host;
    const local = bridgeOf(request);
    refuse(request, local);
    const membership = localMembership(request);
    const bridge = await this.#locks.run(local.name, () =>
      ensureBridge(local, request.mtu, membership !== null, this.#host),
    );
    const name = hostInterfaceName(request.id);
    const mac = request.mac || workloadMac(request.id);
    const mtu = request.mtu || bridge.mtu;
    const { ifindex, peerIfindex } = await this.#createVeth(request, local.name, { name, mac, mtu });
    const made = { hostInterface: name, hostIfindex: ifindex, containerIfindex: peerIfindex, mac, mtu };
    try {
      await namespace.changeLink({ ifindex }, { master: bridge.ifindex });
      await this.#settle(request, ifindex, mac, membership);
      await namespace.changeLink({ ifindex }, { up: true });
      if (!request.containerDown) {
        const { netns } = request.workload ?? {};
        if (netns) await namespace.changeLinkIn(netns, { ifindex: peerIfindex }, { up: true });
      }
      const [link] = request.containerDown ? [await namespace.link({ ifindex })] : await working(namespace, [name]);
      // A bridge that has no MAC of its own takes one of its ports'.
      const { mac: bridgeMac = "" } = (await namespace.link({ ifindex: bridge.ifindex })) ?? {};
      return { ...made, hostMac: link?.mac ?? "", bridge: { name: local.name, mac: bridgeMac } };
    } catch (error) {
      await namespace.deleteLink({ ifindex });
      throw error;
    }
  }

  async route(attachment: Attachment, forceAddress: boolean): Promise<HostInterface> {
    const { namespace } = this.#host;
    const local = bridgeOf(attachment);
    const vlan = localVlan(attachment);
    return await this.#locks.run(local.name, async () => {
      const bridge = await ensureBridge(local, attachment.mtu, vlan !== 0, this.#host);
      const device = vlan === 0 ? bridge : await ensureVlanInterface(bridge, vlan, this.#host);
      await ensureGateways(device, attachment.gateways, forceAddress, this.#host);
      for (const family of families(attachment.gateways)) await forward(family, namespace);
      const [found = device] = await working(namespace, [device.name]);
      return { name: found.name, mac: found.mac };
    });
  }

  /** Its MTU follows nobody's. */
  made(): void {
    return undefined;
  }

  open({ id }: Attachment): Promise<void> {
    return Promise.reject(new PortwrightError("PORT_UNSUPPORTED", `${id} is on a bridge whose ports are never closed`));
  }

  async send({ hostIfindex }: Attachment, frames: readonly Uint8Array[]): Promise<void> {
    await this.#host.namespace.receive(hostIfindex, frames);
  }

  async unmake({ hostIfindex: ifindex, hostInterface: name }: UnmadePort): Promise<void> {
    const { namespace } = this.#host;
    const link = ifindex > 0 ? await namespace.link({ ifindex }) : await namespace.link({ name });
    if (link && isLocalPort(link, name)) await namespace.deleteLink({ ifindex: link.ifindex });
  }

  async verify(attachment: Attachment): Promise<readonly string[]> {
    const { namespace } = this.#host;
    const { hostIfindex: ifindex, hostInterface: name } = attachment;
    const local = bridgeOf(attachment);
    const [link, bridge] = await Promise.all([namespace.link({ ifindex }), namespace.link({ name: local.name })]);
    if (!link || !isLocalPort(link, name)) return [`host interface ${name} (index ${ifindex}) is gone`];
    if (!bridge || link.master !== bridge.ifindex) return [`${name} is not a port of ${local.name}`];
    return [
      ...(link.up ? [] : [`${name} is down`]),
      ...settingsMissing(attachment, link),
      ...(await this.#vlansMissing(attachment)),
      ...(await this.#gatewaysMissing(attachment, local)),
    ];
  }

  async #createVeth(
    { id, network, interface: inside, netnsPath, workload }: PortRequest,
    bridge: string,
    { name, mac, mtu }: { readonly name: string; readonly mac: string; readonly mtu: number },
  ): Promise<{ ifindex: number; peerIfindex: number }> {
    const { namespace } = this.#host;
    const peer = { name: inside, mac, mtu, ...(workload && { netns: workload.netns }) };
    try {
      const alias = localAlias(bridge, network, id);
      return await namespace.createLink({ kind: "veth", name, mtu, alias, noArp: true, noIpv6LinkLocal: true, peer });
    } catch (error) {
      if (!isKernelError(error, "EEXIST")) throw error;
      const other = await namespace.link({ name });
      const message = other
        ? `host interface ${name} for ${id} exists already`
        : `interface ${inside} exists already in ${netnsPath}`;
      throw new PortwrightError("INTERFACE_EXISTS", message, { cause: error });
    }
  }

  /** While the port is down: no frame passes by a setting of before. */
  async #settle(request: PortRequest, ifindex: number, mac: string, membership: Membership | null): Promise<void> {
    const { namespace } = this.#host;
    const memberData = localSettings(request);
    if (membership) await setVlans(namespace, ifindex, ranges(membership));
    if (Object.keys(memberData).length === 0) return;
    await namespace.changeLink({ ifindex }, { memberData });
    const missing = settingsMissing(request, await namespace.link({ ifindex }));
    if (missing.length > 0) {
      const message = `this kernel's bridge cannot have the port so: ${missing.join(", ")}`;
      throw new PortwrightError("PORT_UNSUPPORTED", message);
    }
    if (!request.spoofCheck) return;
    // Without a VLAN the kernel adds it to each one that the port has (br_fdb_add).
    await namespace.setNeighbour({ ifindex, family: AF_BRIDGE, address: "", mac, state: NUD_NOARP, flags: NTF_MASTER });
  }

  async #vlansMissing(attachment: Attachment): Promise<readonly string[]> {
    const wanted = localMembership(attachment);
    if (wanted === null) return [];
    const { hostIfindex, hostInterface } = attachment;
    const entries = (await this.#host.namespace.bridgeVlans()).filter(({ ifindex }) => ifindex === hostIfindex);
    const allowed = VlanSet.from(entries.map(({ vid }) => vid));
    const pvid = entries.find((entry) => entry.pvid)?.vid ?? 0;
    if (allowed.equals(wanted.allowed) && pvid === wanted.pvid) return [];
    return [`${hostInterface} has PVID ${pvid} and VLANs ${allowed}; wanted ${wanted.pvid} and ${wanted.allowed}`];
  }

  async #gatewaysMissing(attachment: Attachment, { name }: LocalBridge): Promise<readonly string[]> {
    const { gateways } = attachment;
    if (gateways.length === 0) return [];
    const { namespace } = this.#host;
    const vlan = localVlan(attachment);
    const device = vlan === 0 ? name : localGatewayName(name, vlan);
    const link = await namespace.link({ name: device });
    const there = link === null ? [] : await namespace.addresses(link.ifindex);
    const missing = gateways.filter((gateway) => !there.some((one) => isSameAddress(one, gateway)));
    return missing.map((gateway) => `${device} lacks the gateway's address ${addressText(gateway)}`);
  }
}

function bridgeOf({ localBridge }: Pick<Workload, "localBridge">): LocalBridge {
  if (localBridge === null) throw new TypeError("it is on a cluster network");
  return localBridge;
}

/** What only a switch of ours does. */
function refuse({ device, gated }: PortRequest, { name }: LocalBridge): void {
  const what = device.kind !== "veth" ? `device.kind ${device.kind}` : gated ? "gated" : null;
  if (what !== null)
    throw new PortwrightError("PORT_UNSUPPORTED", `${what} is not to be had on ${name}, which no cluster network has`);
}

function settingsMissing(port: Parameters<typeof localSettings>[0], link: Link | null): readonly string[] {
  const missing = Object.entries(localSettings(port)).filter(([key, value]) => link?.memberData[key] !== value);
  return missing.map(([key]) => `${link?.name ?? "the port"} is not ${key}`);
}

function ranges({ allowed, untagged, pvid }: Membership) {
  const tagged = allowed.difference(untagged).ranges();
  return [
    ...[...tagged].map((range) => ({ ...range })),
    ...[...untagged].map((vid) => ({ first: vid, last: vid, untagged: true, pvid: vid === pvid })),
  ];
}
