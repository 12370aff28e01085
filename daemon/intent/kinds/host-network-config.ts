/** HostNetworkConfig: an interface of the host in one VLAN. What it says of other hosts is checked as well: it is one file for all. */
import { formatIp, type Cidr, isHostAddress, isLinkLocal, networkAddress, parseCidr } from "../../model/ip.ts";
import { interfaceNameFault } from "../../model/names.ts";
import { type HostAddress, type HostNetworkConfig, hostLinkNames } from "../../model/resources.ts";
import { type NodeSelector, nodeSelector } from "../node-selector.ts";
import { hostNetworkConfigSchema } from "../schemas/host-network-config.ts";
import type { Path } from "../source.ts";
import { type Check, show } from "../validate.ts";

/** Before it is known which host this is. */
export interface HostNetworkDefinition extends Omit<HostNetworkConfig, "addresses"> {
  readonly selector: NodeSelector;
  /** null: no host needs one; empty: what is written of the node is faulty, and that was said */
  readonly addressesByNode: ReadonlyMap<string, readonly HostAddress[]> | null;
}

type Family = 4 | 6;
interface Given {
  readonly node: string;
  readonly path: Path;
  readonly text: string;
  readonly cidr: Cidr;
}

export function readHostNetworkConfig(check: Check): HostNetworkDefinition | undefined {
  const raw = check.read(hostNetworkConfigSchema);
  if (raw === undefined) return undefined;
  const { metadata, spec } = raw;
  const { device } = hostLinkNames(spec.clusterNetwork, spec.vlanID);
  const fault = interfaceNameFault(device);
  if (fault !== null) check.refuse(["spec", "vlanID"], `makes the interface ${device}, which ${fault}`);
  const isDhcp = spec.mode === "dhcp";
  const family = spec.ipFamily ?? "ipv4-only";
  if (isDhcp && family !== "ipv4-only") {
    check.refuse(
      ["spec", "ipFamily"],
      `must be ipv4-only in mode dhcp, not ${family}: IPv6 comes by router advertisement`,
    );
  }
  const wanted: readonly Family[] = family === "dual-stack" ? [4, 6] : family === "ipv6-only" ? [6] : [4];
  return {
    name: metadata.name,
    description: spec.description ?? "",
    clusterNetwork: spec.clusterNetwork,
    vlan: spec.vlanID,
    underlay: spec.underlay ?? false,
    dhcp: isDhcp,
    hardwareAddress: (spec.hardwareAddr ?? "").toLowerCase(),
    place: check.source.at([]),
    selector: nodeSelector(spec.nodeSelector),
    // Addresses that mode static left behind have no meaning.
    addressesByNode: isDhcp ? null : readAddresses(check, spec, wanted),
  };
}

type RawSpec = Parameters<typeof given>[1];

function readAddresses(
  check: Check,
  spec: RawSpec,
  wanted: readonly Family[],
): ReadonlyMap<string, readonly HostAddress[]> {
  const twice = spec.ips !== undefined && spec.hostMultiFamilyIPs !== undefined;
  if (twice) check.refuse(["spec", "hostMultiFamilyIPs"], "cannot stand beside ips: one of them has all addresses");
  const named = [...Object.keys(spec.ips ?? {}), ...Object.keys(spec.hostMultiFamilyIPs ?? {})];
  const byNode = new Map<string, HostAddress[]>(named.map((node) => [node, []]));
  for (const family of [4, 6] as const) {
    const all = given(check, spec, family);
    if (!wanted.includes(family)) {
      const [first] = all;
      if (first) check.refuse(first.path, `is an IPv${family} address, and ipFamily does not name IPv${family}`);
      continue;
    }
    oneSubnet(check, all);
    for (const { node, cidr } of all) {
      const address = { address: formatIp({ family, value: cidr.address }), prefixLength: cidr.prefixLength };
      byNode.set(node, [...(byNode.get(node) ?? []), address]);
    }
  }
  for (const node of byNode.keys()) {
    const both = spec.hostMultiFamilyIPs?.[node];
    const has = (family: Family): boolean =>
      (family === 4 ? (spec.ips?.[node] ?? both?.ipv4) : both?.ipv6) !== undefined;
    if (wanted.every(has)) continue;
    const path = ["spec", both === undefined ? "ips" : "hostMultiFamilyIPs", node];
    check.refuse(path, "must have an address of each family that ipFamily names");
  }
  return byNode;
}

/** What is written of one family; what is wrong with it is said. */
function given(
  check: Check,
  spec: {
    readonly ips?: Readonly<Record<string, string>>;
    readonly hostMultiFamilyIPs?: Readonly<Record<string, { readonly ipv4?: string; readonly ipv6?: string }>>;
  },
  family: Family,
): readonly Given[] {
  const texts: { node: string; path: Path; text: string | undefined }[] = [];
  if (family === 4) {
    for (const [node, text] of Object.entries(spec.ips ?? {})) texts.push({ node, path: ["spec", "ips", node], text });
  }
  const field = family === 4 ? "ipv4" : "ipv6";
  for (const [node, both] of Object.entries(spec.hostMultiFamilyIPs ?? {})) {
    texts.push({ node, path: ["spec", "hostMultiFamilyIPs", node, field], text: both[field] });
  }
  return texts.flatMap(({ node, path, text }): Given[] => {
    if (text === undefined) return [];
    const cidr = parseCidr(text);
    if (cidr === null || cidr.family !== family) {
      const example = family === 4 ? "10.100.0.5/24" : "2001:db8:100::5/64";
      check.refuse(path, `must be an IPv${family} address with its prefix length, e.g. ${example}, not ${show(text)}`);
      return [];
    }
    const reason = addressFault(cidr);
    if (reason !== null) check.refuse(path, `must be the address of one host: ${text} ${reason}`);
    return reason === null ? [{ node, path, text, cidr }] : [];
  });
}

/** null: an interface can have it */
function addressFault(cidr: Cidr): string | null {
  const ip = { family: cidr.family, value: cidr.address };
  if (!isHostAddress(cidr, ip)) return "is the subnet's network or broadcast address";
  if (cidr.prefixLength === 0) return "has no subnet";
  const bits = cidr.family === 4 ? 32n : 128n;
  const top = ip.value >> (bits - 8n);
  const isMulticast = cidr.family === 4 ? top >= 0xe0n : top === 0xffn;
  if (isMulticast) return "is no unicast address";
  const isLoopback = cidr.family === 4 ? top === 127n : ip.value <= 1n;
  if (isLoopback || (cidr.family === 4 && top === 0n)) return "means no host on a network";
  if (isLinkLocal(ip)) return "is link-local: an interface gives itself one";
  return null;
}

/** All hosts are in one subnet, and no two have one address. */
function oneSubnet(check: Check, all: readonly Given[]): void {
  const [first] = all;
  if (first === undefined) return;
  const users = new Map<bigint, string>();
  for (const { node, path, text, cidr } of all) {
    const isSame =
      cidr.prefixLength === first.cidr.prefixLength && networkAddress(cidr).value === networkAddress(first.cidr).value;
    if (!isSame) check.refuse(path, `must be in the subnet of ${first.node}, which has ${first.text}, not ${text}`);
    const user = users.get(cidr.address);
    if (user !== undefined) check.refuse(path, `is the address of ${user} already`, "INTENT_DUPLICATE");
    users.set(cidr.address, node);
  }
}
