/**
 * The network configuration: a superset of the stock bridge plugin's. Keys that nobody here knows are passed over, as
 * the spec demands; what cannot be carried out is refused, never ignored.
 */
import { PortwrightError } from "../errors.ts";
import { NO_FEATURES } from "../model/attachment.ts";
import { stationMac } from "../model/mac.ts";
import type { PortVlans } from "../model/port.ts";
import { bridgeName, type Intent, type Network } from "../model/resources.ts";
import { VlanSet } from "../model/vlan-set.ts";
import { isObject, type JsonObject } from "../safe-json.ts";
import { parsePrevious, type PreviousResult } from "./chain.ts";
import { Fields, parseJsonObject } from "./decode.ts";
import { isIdentifier, parseArgs } from "./environment.ts";
import { parseMasquerade, parseRouting, type Routing } from "./gateways.ts";
import { bridgeNameOf, parseBridge } from "./netconf-bridge.ts";
import { parseNetconfDevice, refuseIpam } from "./netconf-device.ts";
import { parseFeatures, preserveDefaultVlan } from "./netconf-features.ts";
import type { PortOptions } from "./port-maker.ts";
import { type CniDns, parseDns } from "./result.ts";
import { type CniVersion, requireVersion } from "./version.ts";

export interface NetConf {
  readonly cniVersion: CniVersion;
  /** name of the network configuration */
  readonly name: string;
  readonly port: PortOptions;
  /** without effect on layer 2 */
  readonly routing: Routing;
  /** empty: layer 2 only */
  readonly ipamType: string;
  /** IPv6 addresses are checked for duplicates */
  readonly dad: boolean;
  readonly dns: CniDns;
  readonly prevResult: PreviousResult | null;
  /** for the log: accepted, but without effect */
  readonly notes: readonly string[];
}

export function decodeNetConf(stdin: string): JsonObject {
  return parseJsonObject(stdin, "the network configuration", "CNI_DECODE");
}

/** What DEL needs, taken from whatever is there: nothing that ADD would refuse is refused. */
export function looseNetConf(raw: JsonObject): { readonly name: string; readonly ipamType: string } {
  const ipamType = isObject(raw.ipam) ? raw.ipam.type : undefined;
  return {
    name: typeof raw.name === "string" ? raw.name : "",
    ipamType: typeof ipamType === "string" ? ipamType : "",
  };
}

/** What GC needs: the network's name, without which nothing may be removed, and whom to tell. */
export function networkOf(raw: JsonObject): { readonly name: string; readonly ipamType: string } {
  const conf = new Fields(raw, "", "CNI_CONFIG");
  return { name: parseName(conf), ipamType: parseIpamType(conf, raw) };
}

export function parseNetConf(raw: JsonObject, cniArgs: string, intent: Pick<Intent, "networks">): NetConf {
  const cniVersion = requireVersion(raw.cniVersion);
  const conf = new Fields(raw, "", "CNI_CONFIG");
  const name = parseName(conf);
  const port = parsePort(conf, name, parseArgs(cniArgs).mac, intent);
  const notes =
    conf.boolean("promiscMode") && port.localBridge === null
      ? ["promiscMode has no effect: the switch learns addresses and needs no promiscuous bridge"]
      : [];
  const prevFields = conf.object("prevResult");
  const prevResult = prevFields === undefined ? null : parsePrevious(prevFields, raw.prevResult as JsonObject);
  const device = parseNetconfDevice(conf, prevResult?.result ?? null, bridgeNameOf(port));
  const ipamType = parseIpamType(conf, raw);
  refuseIpam(device, ipamType);
  const routing = parseRouting(conf);
  if (routing.gateway && port.vlans.mode === "trunk" && port.vlans.native === 0)
    throw conf.refuse(
      "isGateway",
      "needs a native VLAN on a trunk, where untagged frames can travel: give vlan as well",
    );
  return {
    cniVersion,
    name,
    // There is nothing to masquerade on layer 2.
    port: { ...port, device, masquerade: parseMasquerade(conf) && ipamType !== "" },
    routing,
    ipamType,
    dad: conf.boolean("enabledad") ?? false,
    dns: parseDns(conf.object("dns")),
    prevResult,
    notes,
  };
}

function parseName(conf: Fields): string {
  const name = conf.string("name") ?? "";
  if (!isIdentifier(name))
    throw conf.refuse("name", "must start with a letter or digit, then letters, digits, _ . -", name);
  return name;
}

function parsePort(conf: Fields, name: string, argsMac: string, intent: Pick<Intent, "networks">): PortOptions {
  const isolated = conf.boolean("portIsolation");
  const switched = parseFeatures(conf);
  const mac = pickMac(conf, argsMac);
  const mtu = parseMtu(conf);
  const networkName = conf.string("network");
  if (networkName === undefined) {
    const bridge = parseBridge(conf);
    const features = { ...NO_FEATURES, ...switched, isolated: isolated ?? false };
    const vlans = preserveDefaultVlan(conf, parseVlans(conf));
    return { ...features, ...bridge, network: name, vlans, mac, mtu };
  }
  const network = intent.networks.get(networkName);
  if (network === undefined)
    throw new PortwrightError("NETWORK_UNKNOWN", `network ${JSON.stringify(networkName)} is not defined`);
  for (const key of ["vlan", "vlanTrunk"]) {
    if (conf.has(key)) throw conf.refuse(key, `contradicts network: the VLANs are those of ${networkName}`);
  }
  if (conf.has("bridge") && parseBridge(conf).clusterNetwork !== network.clusterNetwork)
    throw conf.refuse("bridge", `contradicts network: ${networkName} belongs to ${bridgeName(network.clusterNetwork)}`);
  if (conf.boolean("preserveDefaultVlan") === true)
    throw conf.refuse("preserveDefaultVlan", `contradicts network: the VLANs are those of ${networkName}`);
  return { ...networkPort(network), ...switched, isolated: isolated ?? network.portIsolation, mac, mtu };
}

/** The port that a Network of the intent asks for. */
export function networkPort(network: Network): PortOptions {
  return {
    ...NO_FEATURES,
    clusterNetwork: network.clusterNetwork,
    network: network.name,
    vlans: networkVlans(network),
    isolated: network.portIsolation,
    fdbLimit: network.fdbLimit,
    mac: "",
    mtu: 0,
  };
}

function networkVlans(network: Network): PortVlans {
  switch (network.type) {
    case "L2VlanNetwork":
      return { mode: "access", vlan: network.vlan };
    case "UntaggedNetwork":
      return { mode: "untagged" };
    case "L2VlanTrunkNetwork":
      return { mode: "trunk", tagged: network.trunk, native: 0 };
  }
}

function parseVlans(conf: Fields): PortVlans {
  const vlan = conf.integer("vlan", 0, 4094) ?? 0;
  const trunk = conf.objects("vlanTrunk") ?? [];
  if (trunk.length > 0) return { mode: "trunk", tagged: VlanSet.fromRanges(trunk.map(parseTrunkEntry)), native: vlan };
  return vlan === 0 ? { mode: "untagged" } : { mode: "access", vlan };
}

function parseTrunkEntry(entry: Fields): { first: number; last: number } {
  const id = entry.integer("id", 1, 4094);
  const first = entry.integer("minID", 1, 4094);
  const last = entry.integer("maxID", 1, 4094);
  if (id !== undefined) {
    if (first !== undefined || last !== undefined) throw entry.refuse("id", "cannot stand beside minID and maxID");
    return { first: id, last: id };
  }
  if (first === undefined && last === undefined) throw entry.refuse("id", "is missing, and so are minID and maxID");
  if (first === undefined) throw entry.refuse("minID", "is missing beside maxID");
  if (last === undefined) throw entry.refuse("maxID", "is missing beside minID");
  if (first > last) throw entry.refuse("minID", `must not exceed maxID ${last}`, first);
  return { first, last };
}

/** 68 is the least that IPv4 allows (RFC 791); 65535 the most that a veth takes (drivers/net/veth.c, ETH_MAX_MTU). */
function parseMtu(conf: Fields): number {
  const mtu = conf.integer("mtu", 0, 65535) ?? 0;
  if (mtu !== 0 && mtu < 68) throw conf.refuse("mtu", "must be 0 or 68-65535", mtu);
  return mtu;
}

function pickMac(conf: Fields, argsMac: string): string {
  const given =
    conf.object("runtimeConfig")?.string("mac") || conf.object("args")?.object("cni")?.string("mac") || argsMac;
  const mac = given ? stationMac(given) : "";
  if (mac === null) throw conf.refuse("mac", "must be the MAC address of a station", given);
  return mac;
}

function parseIpamType(conf: Fields, raw: JsonObject): string {
  const type = conf.object("ipam")?.string("type") ?? "";
  if (type === "" && isObject(raw.ipam) && Object.keys(raw.ipam).length > 0)
    throw conf.refuse("ipam.type", "is missing");
  // It becomes a file's name in CNI_PATH.
  if (type !== "" && !isIdentifier(type)) throw conf.refuse("ipam.type", "must be the name of a plugin", type);
  return type;
}
