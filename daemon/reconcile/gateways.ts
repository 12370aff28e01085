/**
 * The host's gateways for one workload, beside the rounds: what compile() would want of this VLAN's interface, compared with
 * what is there, and only that made. Where it is there already this writes nothing, and reads three links and the
 * addresses of one.
 */
import type { HostInterface } from "../attach/port-maker.ts";
import type { WorkloadEnds } from "../attach/workload-ends.ts";
import type { Datapath } from "../datapath/datapath.ts";
import { type ErrorCode, PortwrightError } from "../errors.ts";
import type { Link, Namespace } from "../kernel/kernel.ts";
import { ADDRESS_MARK, addressText, isSameAddress } from "../model/addresses.ts";
import type { Workload } from "../model/attachment.ts";
import type { Compiled } from "../model/compile.ts";
import { diff } from "../model/diff.ts";
import { attachmentObject, families, gatewaysByVlan, gatewayVlan, isInTheWay } from "../model/gateways.ts";
import { bridgedVlans, compileHostNetworks, type HostNetworkParts } from "../model/host-networks.ts";
import type { Lease } from "../model/lease.ts";
import { interfaceNameFault } from "../model/names.ts";
import { compileBridgePort, type SwitchContext } from "../model/ports.ts";
import { bridgeName, hostLinkNames, type Intent } from "../model/resources.ts";
import type { Step } from "../model/plan.ts";
import type { Switching } from "../model/switching.ts";
import { isOurs, type Target } from "../model/target.ts";
import { apply } from "./apply.ts";
import { forward, present, working } from "./host-links.ts";

export interface GatewayHost {
  readonly namespace: Namespace;
  readonly datapath: Datapath;
  readonly ends: WorkloadEnds;
  readonly switching: Switching;
  readonly leases: ReadonlyMap<string, Lease>;
  readonly intent: Intent;
  readonly compiled: Compiled;
  /** all that are registered */
  readonly workloads: Iterable<Workload>;
}

/** The target with the interface in it, once the host answers at all gateways of the workload. */
export async function serveGateways(
  workload: Workload,
  forceAddress: boolean,
  host: GatewayHost,
): Promise<{ readonly target: Target; readonly gateway: HostInterface }> {
  const { namespace, compiled } = host;
  const context = contextOf(workload, compiled);
  const vlan = gatewayVlan(workload.vlans, context.nativeVlan);
  const names = hostLinkNames(context.clusterNetwork, vlan);
  const fault = interfaceNameFault(names.device);
  if (fault !== null) throw new PortwrightError("GATEWAY_REFUSED", `the gateway's interface ${names.device} ${fault}`);

  const bridge = bridgeName(context.clusterNetwork);
  const isBridged = context.datapath === "bridge";
  const links = await present(namespace, [...(isBridged ? [bridge] : []), names.port, names.device]);
  const device = links.find(({ name }) => name === names.device);
  const [addresses, ports] = await Promise.all([
    device === undefined ? [] : namespace.addresses(device.ifindex),
    Promise.all(links.filter((link) => link !== device).map(({ ifindex }) => host.datapath.inspect(ifindex))),
  ]);
  const { part, bridgePort } = wanted(workload, vlan, context, links, host);
  for (const gateway of workload.gateways) refuseOthers(gateway, part, workload.id);
  const strangers = addresses.filter((one) => {
    // One of ours that nobody wants any more goes by itself.
    if (one.protocol === ADDRESS_MARK) return false;
    return (
      !part.addresses.some((two) => isSameAddress(one, two)) && workload.gateways.some((two) => isInTheWay(one, two))
    );
  });
  const [stranger] = strangers;
  if (stranger !== undefined && !forceAddress) {
    const message = `${names.device} has ${addressText(stranger)}, and forceAddress is not set`;
    throw new PortwrightError("GATEWAY_REFUSED", message);
  }

  const own = isBridged ? compiled.target.links.get(bridge) : undefined;
  const target: Target = {
    links: new Map([...part.links, ...(own ? [own] : [])].map((link) => [link.name, link])),
    ports: new Map([...(part.port ? [part.port] : []), ...bridgePort].map((port) => [port.linkName, port])),
    addresses: new Map([[part.device, part.addresses]]),
    conditions: [],
  };
  const observed = { links, addresses, ports: ports.filter((port) => port !== null) };
  const inTheWay = strangers.map((address): Step => {
    const { ifindex } = address;
    return { op: "remove-address", name: names.device, ifindex, address: { ...address, owner: "" }, impact: "outage" };
  });
  const steps = [...inTheWay, ...diff(target, observed).steps];
  const [failure] = await apply({ steps }, namespace, host.datapath, host.ends);
  if (failure) throw failure.error;
  for (const family of families(workload.gateways)) await forward(family, namespace);
  const [found] =
    steps.length > 0 || device === undefined ? await working(namespace, [names.device, names.port]) : [device];
  if (found?.name !== names.device) throw new PortwrightError("INTERNAL", `${names.device} is gone`);
  const { target: all } = compiled;
  return {
    gateway: { name: found.name, mac: found.mac },
    target: {
      ...all,
      links: new Map([...all.links, ...target.links]),
      ports: new Map([...all.ports, ...target.ports]),
      addresses: new Map([...all.addresses, ...target.addresses]),
    },
  };
}

function contextOf({ clusterNetwork }: Workload, { contexts, target }: Compiled): SwitchContext {
  const context = contexts.get(clusterNetwork);
  if (context === undefined) {
    throw new PortwrightError("BRIDGE_UNKNOWN", `there is no cluster network ${clusterNetwork} on this host`);
  }
  const bridge = bridgeName(clusterNetwork);
  if (target.links.get(bridge)?.kind === "adopted") {
    const message = `${bridge} was taken over: a gateway on it is not ours to make`;
    throw new PortwrightError("ADOPTED_HOST_NETWORK", message);
  }
  return context;
}

/** As compile() has it, of this one VLAN. */
function wanted(
  { clusterNetwork }: Workload,
  vlan: number,
  context: SwitchContext,
  links: readonly Link[],
  { intent, leases, switching, workloads, compiled }: GatewayHost,
): { readonly part: HostNetworkParts; readonly bridgePort: readonly ReturnType<typeof compileBridgePort>[] } {
  const neighbours = [...workloads].filter((one) => one.clusterNetwork === clusterNetwork);
  const conditions: { code: ErrorCode; message: string }[] = [];
  const world = {
    ...{ context, switching, leases },
    gateways: gatewaysByVlan(neighbours, context.nativeVlan),
    hasBridge: compiled.target.links.has(bridgeName(clusterNetwork)),
    free: (name: string): boolean => {
      const link = links.find((one) => one.name === name);
      if (link === undefined || isOurs(link)) return true;
      conditions.push({ code: "NAME_TAKEN", message: `a link named ${name} is there that is not ours` });
      return false;
    },
    say: () => undefined,
  };
  const configs = [...intent.hostNetworkConfigs.values()];
  const { device } = hostLinkNames(clusterNetwork, vlan);
  const part = compileHostNetworks(configs, world).find((one) => one.device === device);
  const [condition] = conditions;
  if (part === undefined) {
    const { code, message } = condition ?? { code: "NAME_TAKEN", message: `${device} cannot be made` };
    throw new PortwrightError(code, message);
  }
  const vlans = bridgedVlans(configs, world);
  return { part, bridgePort: vlans.isEmpty ? [] : [compileBridgePort(vlans, context)] };
}

/** What the intent gives the host, and what other workloads route by, is not taken away by force. */
function refuseOthers(gateway: Workload["gateways"][number], part: HostNetworkParts, id: string): void {
  const other = part.addresses.find((one) => isInTheWay(one, gateway));
  if (other === undefined) return;
  const whose = other.owner === attachmentObject(id) ? "asked for as well" : `there for ${other.owner}`;
  const message = `${part.device} cannot have ${addressText(gateway)}: ${addressText(other)} is ${whose}`;
  throw new PortwrightError("GATEWAY_REFUSED", message);
}
