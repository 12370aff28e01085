/** From intent, attachments and what is there to what should be there. Pure: no I/O, no clock. */
import { membership } from "./port.ts";
import type { ErrorCode } from "../errors.ts";
import type { Address, BridgeVlan, Link } from "../kernel/kernel.ts";
import { bond, member } from "../links/bond.ts";
import { borrowed } from "../links/borrowed.ts";
import { bridge } from "../links/bridge.ts";
import { nic } from "../links/nic.ts";
import { probePair } from "../links/veth.ts";
import { workload } from "../links/workload.ts";
import { type Workload, workloadMtu } from "./attachment.ts";
import { groupBy } from "./group-by.ts";
import { type Adoption, adoptedBond, adoptedUplink, adoption, isBondOf } from "./adoption.ts";
import { ABSENT_BOND_DATA, bondOptionOf } from "./bond-options.ts";
import { borrowFault, isBorrowed } from "./borrowed.ts";
import type { TargetAddress } from "./addresses.ts";
import { gatewaysByVlan } from "./gateways.ts";
import { bridgedVlans, compileHostNetworks, hostVlans } from "./host-networks.ts";
import type { Lease } from "./lease.ts";
import {
  compileBridgePort,
  compilePort,
  compileProbePort,
  compileUplinkPort,
  probedVlans,
  type SwitchContext,
} from "./ports.ts";
import {
  bondName,
  bridgeName,
  DEFAULT_MTU,
  DEFAULT_NATIVE_VLAN,
  type Intent,
  probeLinkNames,
  type VlanConfig,
} from "./resources.ts";
import type { Switching } from "./switching.ts";
import { assignSwitchIds, MAX_SWITCHES } from "./switch-ids.ts";
import {
  type Condition,
  isAdopted,
  isOurs,
  type ObservedPort,
  type Target,
  type TargetLink,
  type TargetPort,
} from "./target.ts";
import { chooseUplink } from "./uplink.ts";
import { VlanDemand } from "./vlan-demand.ts";

const NOWHERE = { file: "", line: 0, column: 0 };

export interface CompileInput {
  readonly intent: Intent;
  /** read after `links`: an attachment may be newer than its link, a link never newer than its attachment */
  readonly attachments: Iterable<Workload>;
  /** workloads that went, whose gateways are to stay for the next one */
  readonly lingering?: readonly Workload[];
  readonly links: readonly Link[];
  readonly addresses: readonly Address[];
  /** as found: a NIC that is an uplink already is treated with more care */
  readonly ports: readonly ObservedPort[];
  /** the kernel can make bonds */
  readonly bonding: boolean;
  readonly switching: Switching;
  readonly switchIds: ReadonlyMap<string, number>;
  /** from DHCP servers, by device of the host */
  readonly leases: ReadonlyMap<string, Lease>;
  /** entries of all bridges, where one is adopted */
  readonly vlans?: readonly BridgeVlan[];
  /** container ends that did not get an MTU, by attachment */
  readonly unreached?: ReadonlyMap<string, { readonly mtu: number; readonly message: string }>;
}

export interface Compiled {
  readonly target: Target;
  readonly switchIds: ReadonlyMap<string, number>;
  /** of every cluster network that has a switch: what one more port needs (ports.ts) */
  readonly contexts: ReadonlyMap<string, SwitchContext>;
  /** VLANs in use by cluster network. The caller may go on counting: every compile makes new ones. */
  readonly demands: ReadonlyMap<string, VlanDemand>;
}

export function compile(input: CompileInput): Compiled {
  const links = new Map<string, TargetLink>();
  const ports = new Map<string, TargetPort>();
  const addresses = new Map<string, readonly TargetAddress[]>();
  const conditions: Condition[] = [];
  const contexts = new Map<string, SwitchContext>();
  const demands = new Map<string, VlanDemand>();
  const found = new Map(input.links.map((link) => [link.name, link]));
  const attached = groupBy(input.attachments, ({ clusterNetwork }) => clusterNetwork);
  const say = (code: ErrorCode, object: string, message: string): void => {
    conditions.push({ code, object, message });
  };
  /** May a link of ours have this name? */
  const free = (name: string, object: string): boolean => {
    const link = found.get(name);
    if (link === undefined || isOurs(link)) return true;
    say("NAME_TAKEN", object, `a link named ${name} is there that is not ours`);
    return false;
  };

  const { clusterNetworks, vlanConfigs, networks, hostNetworkConfigs } = input.intent;
  const names = [...new Set([...clusterNetworks.keys(), ...attached.keys()])];
  const switchIds = assignSwitchIds(names, input.switchIds);
  const inUse = new Set(input.ports.filter((port) => port.config.uplink).map((port) => port.ifindex));
  const taken = new Map<number, string>();

  for (const clusterNetwork of names) {
    const object = `ClusterNetwork/${clusterNetwork}`;
    const workloads = attached.get(clusterNetwork) ?? [];
    const switchId = switchIds.get(clusterNetwork);
    if (switchId === undefined) {
      say("TOO_MANY_SWITCHES", object, `${clusterNetwork} is one more than the ${MAX_SWITCHES} that a host carries`);
      for (const attachment of workloads) {
        const { hostInterface } = attachment;
        links.set(hostInterface, portLink(attachment, found.get(hostInterface)?.mtu ?? DEFAULT_MTU));
      }
      continue;
    }
    const defined = clusterNetworks.get(clusterNetwork);
    const bridgeThere = found.get(bridgeName(clusterNetwork));
    // Workloads that are in the bridge stay there.
    const isLeft = workloads.length > 0 && bridgeThere !== undefined && isAdopted(bridgeThere);
    const adopting = defined?.adopt === true || isLeft;
    if (adopting && bridgeThere === undefined) {
      say("ADOPT_ABSENT", object, `${bridgeName(clusterNetwork)} is not there to be taken over: it is waited for`);
      for (const one of workloads) links.set(one.hostInterface, portLink(one, DEFAULT_MTU));
      continue;
    }
    if (!clusterNetworks.has(clusterNetwork)) {
      const message = `${clusterNetwork} is not defined any more, but ${workloads.length} workloads are attached to it: they keep a switch without an uplink`;
      say("INTENT_REFERENCE", object, message);
    }
    const vlanConfig = vlanConfigs.get(clusterNetwork);
    const adopted = adopting
      ? adoption({
          ...{ clusterNetwork: defined ?? { name: clusterNetwork, place: NOWHERE }, switchId, vlanConfig, say },
          ...{ links: input.links, vlans: input.vlans ?? [], canFilter: input.switching.vlanFiltering },
        })
      : null;
    const bondThere = input.links.find((link) => adopted !== null && isBondOf(clusterNetwork, link));
    // A bond is not put between a bridge that was taken over and its NIC.
    const keepsNic = adopted !== null && bondThere === undefined;
    const chosen =
      vlanConfig && !keepsNic && chooseUplink(vlanConfig, { ...input, inUse, taken, ...(adopted && { adopted }) });
    conditions.push(...(chosen ? chosen.conditions : []));
    const isTaken = chosen && chosen.kind === "bond" && adopted === null && !free(bondName(clusterNetwork), object);
    const uplink = isTaken || !chosen ? undefined : chosen;
    const context: SwitchContext = {
      clusterNetwork,
      switchId,
      datapath: input.switching.datapath,
      mtu: uplink?.mtu ?? DEFAULT_MTU,
      nativeVlan: vlanConfig?.uplink.nativeVlan ?? DEFAULT_NATIVE_VLAN,
      uplink: uplink?.kind === "bond" ? bondName(clusterNetwork) : (uplink?.nics[0]?.name ?? ""),
      ...(adopted && adoptedContext(adopted)),
    };
    const demand = new VlanDemand();
    contexts.set(clusterNetwork, context);
    demands.set(clusterNetwork, demand);

    for (const { ifindex, name } of uplink?.nics ?? []) {
      if (vlanConfig === undefined) break;
      taken.set(ifindex, clusterNetwork);
      const isMember = uplink?.kind === "bond";
      links.set(name, isMember ? member(name, clusterNetwork, context.mtu) : nic(name, vlanConfig, context.mtu));
    }
    if (vlanConfig && uplink?.kind === "bond") {
      const wanted = bond(vlanConfig, context.mtu, uplink.primary);
      links.set(wanted.name, bondThere ? adoptedBond(wanted, bondThere, vlanConfig) : wanted);
      sayUnknownOptions(vlanConfig, found.get(wanted.name));
    }
    if (adopted !== null) {
      for (const link of adopted.links) links.set(link.name, link);
      const { uplink: out } = adopted;
      if (out && !links.has(out.name)) links.set(out.name, adoptedUplink(out, clusterNetwork, vlanConfig));
    } else if (free(bridgeName(clusterNetwork), object)) {
      links.set(bridgeName(clusterNetwork), bridge(clusterNetwork, switchId, context.mtu, input.switching));
    }
    // Where the cluster network has no uplink by intent, its gateways are not to be expected.
    const switchesVlans = adopted === null || adopted.isFiltering;
    if (!switchesVlans) sayUnfiltered(clusterNetwork);
    const probed = switchesVlans && vlanConfig && probedVlans(networks.values(), clusterNetwork, context.nativeVlan);
    if (probed && !probed.isEmpty) {
      demand.add(probed);
      const { port, inner } = probeLinkNames(clusterNetwork);
      if (free(port, object) && free(inner, object)) {
        const pair = probePair(clusterNetwork, context.mtu);
        links.set(port, pair.port);
        links.set(inner, pair.inner);
        ports.set(port, compileProbePort(probed, context));
      }
    }
    const hostConfigs = adopted === null ? [...hostNetworkConfigs.values()] : [];
    if (adopted !== null) sayHostNetworks(clusterNetwork);
    demand.add(hostVlans(hostConfigs, clusterNetwork));
    const hasBridge = links.has(bridgeName(clusterNetwork));
    const lingering = (input.lingering ?? []).filter((one) => one.clusterNetwork === clusterNetwork);
    const gateways = gatewaysByVlan(adopted === null ? [...workloads, ...lingering] : [], context.nativeVlan);
    const world = { switching: input.switching, leases: input.leases, gateways, context, hasBridge, free, say };
    for (const part of compileHostNetworks(hostConfigs, world)) {
      for (const link of part.links) links.set(link.name, link);
      if (part.port) ports.set(part.port.linkName, part.port);
      addresses.set(part.device, part.addresses);
    }
    const bridged = bridgedVlans(hostConfigs, world);
    if (!bridged.isEmpty) ports.set(bridgeName(clusterNetwork), compileBridgePort(bridged, context));
    for (const attachment of workloads) {
      if (!isUsable(attachment, context)) continue;
      const port = compilePort(attachment, context);
      if (!switchesVlans && attachment.vlans.mode !== "untagged") {
        say(
          "BRIDGE_UNFILTERED",
          `Attachment/${attachment.id}`,
          `its VLANs cannot be told apart: ${unfiltered(clusterNetwork)}`,
        );
        links.set(port.linkName, withContainerEnd(portLink(attachment, port.config.mtu), attachment));
        continue;
      }
      if (port.config.fdbLimit !== attachment.fdbLimit) {
        const message = `at most ${attachment.fdbLimit} addresses were asked for: the kernel's bridge has no such limit`;
        say("PORT_UNSUPPORTED", `Attachment/${attachment.id}`, message);
      }
      demand.add(membership(attachment.vlans, context.nativeVlan).allowed); // of closed ports, too
      links.set(port.linkName, withContainerEnd(portLink(attachment, port.config.mtu), attachment));
      if (attachment.mtuAsked > context.mtu) {
        const message = `MTU ${attachment.mtuAsked} was asked for, and ${clusterNetwork} carries ${context.mtu} now`;
        say("MTU_TOO_LARGE", `Attachment/${attachment.id}`, message);
      }
      ports.set(port.linkName, port);
    }
    if (context.uplink !== "") ports.set(context.uplink, compileUplinkPort(demand.vlans, context));
  }
  return { target: { links, ports, addresses, conditions }, switchIds, contexts, demands };

  function sayUnfiltered(clusterNetwork: string): void {
    for (const { name, type } of networks.values()) {
      if (networks.get(name)?.clusterNetwork !== clusterNetwork || type === "UntaggedNetwork") continue;
      say("BRIDGE_UNFILTERED", `Network/${name}`, unfiltered(clusterNetwork));
    }
  }

  /** The bridge's own VLANs and the interfaces on it are whose they were. */
  function sayHostNetworks(clusterNetwork: string): void {
    for (const { name, clusterNetwork: of } of hostNetworkConfigs.values()) {
      if (of !== clusterNetwork) continue;
      const message = `${bridgeName(clusterNetwork)} was taken over: the host's own interfaces on it are not ours to make`;
      say("ADOPTED_HOST_NETWORK", `HostNetworkConfig/${name}`, message);
    }
  }

  /** The kernel passes over attributes that it does not know: seen by their absence from its report. */
  function sayUnknownOptions({ name, uplink }: VlanConfig, link: Link | undefined): void {
    if (link?.kind !== "bond" || link.data["mode"] !== uplink.bond.data["mode"]) return;
    for (const attribute of uplink.bond.asked) {
      if (link.data[attribute] !== undefined || attribute in ABSENT_BOND_DATA) continue;
      const option = bondOptionOf(attribute);
      const since = option?.since === undefined ? "" : ` (it came with Linux ${option.since})`;
      say("BOND_OPTION_UNSUPPORTED", `VlanConfig/${name}`, `this kernel has no ${option?.name ?? attribute}${since}`);
    }
  }

  /** Its link in the host's namespace. Of one that is somebody else's `found` tells what is to be kept of it. */
  function portLink(attachment: Workload, mtu: number): TargetLink {
    const link = found.get(attachment.hostInterface);
    return attachment.device.kind === "existing" && link ? borrowed(attachment, link, mtu) : workload(attachment, mtu);
  }

  /** One that is being made has no record to keep the MTU in; one that could not be reached would not be now. */
  function withContainerEnd(link: TargetLink, { id, mtu, state }: Workload): TargetLink {
    const missed = input.unreached?.get(id);
    if (missed?.mtu !== link.mtu) return state === "ready" ? { ...link, containerEnd: { attachment: id, mtu } } : link;
    say("WORKLOAD_UNREACHABLE", `Attachment/${id}`, `its interface does not get MTU ${link.mtu}: ${missed.message}`);
    return link;
  }

  function isUsable(attachment: Workload, context: SwitchContext): boolean {
    const object = `Attachment/${attachment.id}`;
    if (attachment.device.kind === "existing") return isBorrowable(attachment, context, object);
    if (!free(attachment.hostInterface, object)) return false;
    if (found.has(attachment.hostInterface)) return true;
    // One that is being made or unmade has no link yet, or none any more.
    if (attachment.state === "ready") {
      say("CHECK_FAILED", object, `host interface ${attachment.hostInterface} of the workload is gone`);
    }
    return false;
  }

  /**
   * Its maker may have ended, and may come again: the port is there whenever the link is. What speaks against a link that
   * is in use is said, and no reason to cut off its workload.
   */
  function isBorrowable(attachment: Workload, context: SwitchContext, object: string): boolean {
    const { hostInterface, state } = attachment;
    const link = found.get(hostInterface);
    const fault = link && borrowFault(link, workloadMtu(attachment, context.mtu), input);
    if (fault) say("DEVICE_REFUSED", object, fault);
    if (link) return !fault || isBorrowed(link);
    if (state === "ready") say("DEVICE_ABSENT", object, `there is no link ${hostInterface} now: it is waited for`);
    return false;
  }
}

function unfiltered(clusterNetwork: string): string {
  return `${bridgeName(clusterNetwork)} does not filter VLANs, so only untagged networks can be on it; vlanFiltering: true in ClusterNetwork ${clusterNetwork} would change that`;
}

/** Without filtering there is nothing to be done at the uplink. */
function adoptedContext({ isFiltering, uplink, mtu, nativeVlan, kept }: Adoption): Partial<SwitchContext> {
  return { datapath: "bridge", mtu, nativeVlan, kept, uplink: isFiltering ? (uplink?.name ?? "") : "" };
}
