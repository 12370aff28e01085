/** A bridge that is not managed, as the stock bridge plugin makes and uses it: found or made, and given gateways. */
import { PortwrightError } from "../errors.ts";
import { isKernelError } from "../kernel/kernel-error.ts";
import type { Address, Link, Namespace } from "../kernel/kernel.ts";
import { addressText, isSameAddress } from "../model/addresses.ts";
import type { Gateway } from "../model/gateways.ts";
import { contains, familyOf, parseCidr, parseIp } from "../model/ip.ts";
import type { LocalBridge } from "../model/attachment.ts";
import { isLocal, localAlias, localGatewayName } from "../model/local-bridge.ts";
import { derivedMac } from "../model/mac.ts";
import { interfaceNameFault } from "../model/names.ts";
import type { Switching } from "../model/switching.ts";
import { hostInterfaceName } from "../reconcile/workload-names.ts";

export interface LocalHost {
  readonly namespace: Namespace;
  readonly switching: Pick<Switching, "vlanFiltering" | "hostKey">;
}

/** Found, or made with this MTU (0: the kernel's own), and up. `needsVlans`: it has to tell VLANs apart. */
export async function ensureBridge(
  { name, promiscuous }: LocalBridge,
  mtu: number,
  needsVlans: boolean,
  { namespace, switching }: LocalHost,
): Promise<Link> {
  let bridge = await namespace.link({ name });
  if (bridge === null) {
    if (needsVlans && !switching.vlanFiltering) throw unfiltered(`this kernel's bridges do not filter VLANs`);
    await namespace
      .createLink({
        ...{ name, kind: "bridge", up: true },
        // One that nobody gave it would follow its lowest port, and change as workloads come and go.
        mac: derivedMac(`${switching.hostKey} ${name}`),
        ...(mtu > 0 && { mtu }),
        ...(promiscuous && { promiscuous }),
        ...(needsVlans && { data: { vlanFiltering: true } }),
      })
      .catch(unlessThere);
    bridge = await namespace.link({ name });
  }
  if (bridge?.kind !== "bridge") {
    throw new PortwrightError("NAME_TAKEN", `a link named ${name} is there, and it is no bridge`);
  }
  if (needsVlans && bridge.data["vlanFiltering"] !== true) throw unfiltered(`${name} does not filter VLANs`);
  const isPromiscuous = (bridge.flags & IFF_PROMISC) !== 0;
  if (!bridge.up || (promiscuous && !isPromiscuous)) {
    await namespace.changeLink({ ifindex: bridge.ifindex }, { up: true, ...(promiscuous && { promiscuous }) });
  }
  return bridge;
}

/**
 * The interface of the host in a VLAN of the bridge: a pair, one end of which is a port of the bridge. It stays, as the
 * bridge does.
 */
export async function ensureVlanInterface(bridge: Link, vlan: number, { namespace }: LocalHost): Promise<Link> {
  const name = localGatewayName(bridge.name, vlan);
  const fault = interfaceNameFault(name);
  if (fault !== null) throw new PortwrightError("GATEWAY_REFUSED", `the gateway's interface ${name} ${fault}`);
  const known = await namespace.link({ name });
  if (known !== null) return known;
  const alias = localAlias(bridge.name, "gateway", `${vlan}`);
  const port = hostInterfaceName(`gateway ${name}`);
  const quiet = { noArp: true, noIpv6LinkLocal: true } as const;
  const { ifindex, peerIfindex } = await namespace.createLink({
    ...{ kind: "veth", name: port, mtu: bridge.mtu, master: bridge.ifindex, alias, ...quiet },
    peer: { name, mtu: bridge.mtu },
  });
  await setVlans(namespace, ifindex, [{ first: vlan, last: vlan, pvid: true, untagged: true }]);
  await namespace.changeLink({ ifindex }, { up: true });
  await namespace.changeLink({ ifindex: peerIfindex }, { alias, up: true });
  const device = await namespace.link({ name });
  if (device === null) throw new PortwrightError("INTERNAL", `${name} is gone`);
  return device;
}

type Entries = Parameters<Namespace["setBridgeVlans"]>[1];

/** These and no others: what the bridge gave its new port goes first. */
export async function setVlans(namespace: Namespace, ifindex: number, wanted: Entries): Promise<void> {
  const isWanted = (vid: number): boolean => wanted.some(({ first, last }) => first <= vid && vid <= last);
  const found = (await namespace.bridgeVlans()).filter((entry) => entry.ifindex === ifindex);
  const others = found.filter(({ vid }) => !isWanted(vid)).map(({ vid }) => ({ first: vid, last: vid }));
  if (others.length > 0) await namespace.removeBridgeVlans(ifindex, others);
  await namespace.setBridgeVlans(ifindex, wanted);
}

/** As the stock plugin (its ensureAddr): one IPv4 address, and IPv6 subnets that do not overlap. */
export async function ensureGateways(
  device: Link,
  gateways: readonly Gateway[],
  forceAddress: boolean,
  { namespace }: LocalHost,
): Promise<void> {
  const there = await namespace.addresses(device.ifindex);
  for (const gateway of gateways) {
    if (there.some((one) => isSameAddress(one, gateway))) continue;
    const inTheWay = there.filter((one) => excludes(one, gateway));
    const [first] = inTheWay;
    if (first !== undefined && !forceAddress) {
      const message = `${device.name} has ${addressText(first)}, and forceAddress is not set`;
      throw new PortwrightError("GATEWAY_REFUSED", message);
    }
    for (const { address, prefixLength } of inTheWay) {
      await namespace.removeAddress({ ifindex: device.ifindex, address, prefixLength });
    }
    const noDad = familyOf(gateway.address) === 6 ? ({ noDad: true } as const) : {};
    await namespace.addAddress({ ifindex: device.ifindex, ...gateway, ...noDad }).catch(unlessThere);
  }
}

function excludes(one: Address, gateway: Gateway): boolean {
  if (one.family !== familyOf(gateway.address)) return false;
  if (one.family === 4) return true;
  return isInside(one, gateway) || isInside(gateway, one);
}

function isInside(one: Gateway, of: Gateway): boolean {
  const [cidr, ip] = [parseCidr(addressText(of)), parseIp(one.address)];
  return cidr !== null && ip !== null && contains(cidr, ip);
}

/** A port that we made; one that nobody named yet has the name that only its attachment gives. */
export function isLocalPort(link: Link, name: string): boolean {
  return link.name === name && (isLocal(link) || (link.alias === "" && link.kind === "veth"));
}

const IFF_PROMISC = 0x100; // uapi/linux/if.h

function unlessThere(error: unknown): void {
  if (!isKernelError(error, "EEXIST")) throw error;
}

function unfiltered(why: string): PortwrightError {
  return new PortwrightError("BRIDGE_UNFILTERED", `VLANs were asked for, and ${why}`);
}
