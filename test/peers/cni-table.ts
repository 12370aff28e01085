/**
 * Configurations and environments in which the CNI plugin and the stock bridge plugin are compared, and where they may
 * differ: each difference with its reason. test/netns/cni-oracle.test.ts runs the rows.
 *
 * In a row's configuration "$BRIDGE", "$DATA" and "$NETNS" stand for the bridge, a directory for host-local and the
 * path of the pod's namespace. Steps are verbs, or what happens between them.
 */

export type Step =
  | "ADD"
  | "CHECK"
  | "DEL"
  /** without CNI_NETNS, as a runtime does when the namespace is gone */
  | "DEL without netns"
  | "the namespace goes"
  | "the link goes"
  | "the link goes down"
  | "the addresses go"
  | "the routes go";

export interface OracleRow {
  readonly name: string;
  /** laid over the least configuration; undefined takes a member away; a text is stdin as it is */
  readonly conf?: Readonly<Record<string, unknown>> | string;
  /** laid over the full environment; null takes a variable away */
  readonly env?: Readonly<Record<string, string | null>>;
  readonly steps?: readonly Step[];
  /** what CNI_NETNS leads to */
  readonly pod?: "plain" | "has eth0" | "nothing there" | "a file" | "the host";
  /** on a bridge of its own: the managed one is the same for all rows, and has gateways of one row only */
  readonly only?: "local";
  /** by step, with or without its number, or "all": why ours is not theirs */
  readonly differs?: Readonly<Record<string, string>>;
}

export const DEFAULT_STEPS: readonly Step[] = ["ADD", "CHECK", "DEL", "DEL"];

const STATIC = (...addresses: readonly object[]) => ({ type: "static", addresses });
const ADDRESS = { address: "10.1.0.2/24", gateway: "10.1.0.1" };
const ONE = { ipam: STATIC(ADDRESS) };
const LOCAL = (more: object = {}) => ({
  ipam: { type: "host-local", dataDir: "$DATA", ranges: [[{ subnet: "10.2.0.0/24" }]], ...more },
});
const SUBNET = (four: string, six?: string, more: object = {}) =>
  LOCAL({ ranges: [[{ subnet: `${four}.0/24` }], ...(six === undefined ? [] : [[{ subnet: `${six}/64` }]])], ...more });
const PREV = (more: object) => ({ prevResult: { cniVersion: "1.0.0", ...more } });
const MAC = "02:12:34:56:78:9a";
const versions = ["0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0"] as const;

// ---- reasons that several rows share
const NO_ADDRESS =
  "defect: a result without addresses cannot be told at 0.1.0 and 0.2.0, so ADD fails, with the port made";
const LOST_DNS = "defect of 1.1.1: IPAM's dns is dropped from the result";
const LEFT_BEHIND = "defect: when IPAM fails the veth stays in the container";
const FOREIGN = "defect: DEL removes an interface of that name, whoever made it";
const UNCHECKED = "decision: a member that cannot be meant so is refused, not passed over";
const CHAIN = "defect: prevResult does not come out again (CNI SPEC, ADD)";
const SAME_ROUTE = "defect of 1.1.1: of equal routes the second fails; in later ones the first counts, as here";
const OWN_NETNS = "defect of 1.1.1: the host's own namespace is not recognised; later ones do so after the work";

export const ORACLE_ROWS: readonly OracleRow[] = [
  // ---- versions
  ...versions.map((cniVersion) => ({
    name: `${cniVersion}, layer 2`,
    conf: { cniVersion },
    ...(cniVersion < "0.3.0" ? { differs: { ADD: NO_ADDRESS } } : {}),
  })),
  ...versions.map((cniVersion) => ({ name: `${cniVersion}, static`, conf: { cniVersion, ...ONE } })),
  ...versions.map((cniVersion) => ({
    name: `${cniVersion}, two families and routes`,
    conf: {
      cniVersion,
      ipam: {
        ...STATIC(ADDRESS, { address: "fd01::2/64", gateway: "fd01::1" }),
        routes: [{ dst: "0.0.0.0/0" }, { dst: "10.9.0.0/16", gw: "10.1.0.9" }, { dst: "::/0" }],
        dns: { nameservers: ["10.1.0.53"], search: ["a", "b"] },
      },
    },
    differs: { ADD: LOST_DNS },
  })),
  { name: "version missing", conf: { cniVersion: undefined, ...ONE } },
  { name: "version empty", conf: { cniVersion: "", ...ONE } },
  {
    name: "version 1.1.0",
    conf: { cniVersion: "1.1.0" },
    differs: { all: "Debian's plugins know versions up to 1.0.0" },
  },
  { name: "version 9.0.0", conf: { cniVersion: "9.0.0" } },
  { name: "version 1.0", conf: { cniVersion: "1.0" } },
  { name: "version a number", conf: { cniVersion: 1 } },

  // ---- the environment
  { name: "no container id", env: { CNI_CONTAINERID: null } },
  { name: "no netns", env: { CNI_NETNS: null }, steps: ["ADD", "DEL"] },
  { name: "no interface name", env: { CNI_IFNAME: null } },
  { name: "no path", env: { CNI_PATH: null } },
  { name: "container id with a slash", env: { CNI_CONTAINERID: "a/b" } },
  { name: "container id with a leading dot", env: { CNI_CONTAINERID: ".a" } },
  { name: "container id with a space", env: { CNI_CONTAINERID: "a b" } },
  { name: "container id of 200 characters", env: { CNI_CONTAINERID: "c".repeat(200) } },
  { name: "interface name of 16 bytes", env: { CNI_IFNAME: "abcdefghijklmnop" } },
  { name: "interface name of 15 bytes", env: { CNI_IFNAME: "abcdefghijklmno" } },
  { name: "interface name with a slash", env: { CNI_IFNAME: "a/b" } },
  { name: "interface name with a colon", env: { CNI_IFNAME: "a:b" } },
  { name: "interface name with a space", env: { CNI_IFNAME: "a b" } },
  { name: "interface name ..", env: { CNI_IFNAME: ".." } },
  { name: "interface net1", env: { CNI_IFNAME: "net1" }, conf: ONE },
  { name: "args that are known", env: { CNI_ARGS: `MAC=${MAC}` } },
  { name: "args that are unknown", env: { CNI_ARGS: "K8S_POD_NAME=x" } },
  { name: "args that are unknown, to be ignored", env: { CNI_ARGS: "IgnoreUnknown=1;K8S_POD_NAME=x" } },
  { name: "args that are unknown, IgnoreUnknown false", env: { CNI_ARGS: "IgnoreUnknown=0;K8S_POD_NAME=x" } },
  { name: "args that are no pairs", env: { CNI_ARGS: "nonsense" } },
  { name: "args with an empty value", env: { CNI_ARGS: "IgnoreUnknown=true;MAC=" } },

  // ---- the namespace
  { name: "nothing at the path", pod: "nothing there" },
  { name: "a file at the path", pod: "a file" },
  { name: "the host's own namespace", pod: "the host", differs: { all: OWN_NETNS } },
  {
    name: "the host's own namespace, allowed",
    pod: "the host",
    env: { CNI_NETNS_OVERRIDE: "true", CNI_IFNAME: "own1" },
  },
  { name: "the interface is there", pod: "has eth0", steps: ["ADD", "DEL"], differs: { DEL: FOREIGN } },
  {
    name: "the interface is there, with IPAM",
    pod: "has eth0",
    conf: LOCAL(),
    steps: ["ADD", "DEL"],
    differs: { DEL: FOREIGN },
  },
  { name: "a second ADD, layer 2", steps: ["ADD", "ADD", "DEL"] },
  { name: "a second ADD, host-local", conf: LOCAL(), steps: ["ADD", "ADD", "DEL"] },
  { name: "ADD after DEL", conf: LOCAL(), steps: ["ADD", "DEL", "ADD", "DEL"] },
  { name: "DEL without an ADD", steps: ["DEL"] },
  { name: "DEL without an ADD, host-local", conf: LOCAL(), steps: ["DEL"] },
  { name: "DEL of a namespace that is gone", conf: LOCAL(), steps: ["ADD", "the namespace goes", "DEL", "DEL"] },
  { name: "DEL without netns", conf: LOCAL(), steps: ["ADD", "the namespace goes", "DEL without netns"] },
  { name: "DEL with netns, then without", conf: LOCAL(), steps: ["ADD", "DEL", "DEL without netns"] },
  {
    name: "DEL without netns while it is there",
    conf: LOCAL(),
    steps: ["ADD", "DEL without netns", "DEL"],
    differs: {
      "1 DEL without netns":
        "decision: DEL removes what is on record, with or without a namespace; theirs waits for the namespace to go",
    },
  },
  { name: "DEL of a link that is gone", conf: LOCAL(), steps: ["ADD", "the link goes", "DEL", "DEL"] },
  { name: "DEL with no namespace at the path", pod: "nothing there", steps: ["DEL"] },

  // ---- CHECK
  { name: "CHECK of a link that is gone", conf: ONE, steps: ["ADD", "the link goes", "CHECK", "DEL"] },
  { name: "CHECK of a link that is down", conf: ONE, steps: ["ADD", "the link goes down", "CHECK", "DEL"] },
  { name: "CHECK without the address", conf: ONE, steps: ["ADD", "the addresses go", "CHECK", "DEL"] },
  {
    name: "CHECK without the route",
    conf: { ipam: { ...STATIC(ADDRESS), routes: [{ dst: "10.9.0.0/16", gw: "10.1.0.1" }] } },
    steps: ["ADD", "the routes go", "CHECK", "DEL"],
  },
  { name: "CHECK after the DEL", conf: ONE, steps: ["ADD", "DEL", "CHECK"] },
  { name: "CHECK without prevResult", conf: ONE, steps: ["CHECK"] },
  { name: "CHECK of a namespace that is gone", conf: ONE, steps: ["ADD", "the namespace goes", "CHECK", "DEL"] },
  { name: "CHECK of two families", conf: { ipam: STATIC(ADDRESS, { address: "fd01::2/64" }) } },

  // ---- the configuration
  { name: "no JSON", conf: "{", steps: ["ADD"] },
  { name: "nothing on stdin", conf: "", steps: ["ADD"] },
  { name: "a list on stdin", conf: "[]", steps: ["ADD"] },
  {
    name: "null on stdin",
    conf: "null",
    steps: ["ADD"],
    differs: { ADD: "decision: null is no network configuration: it cannot be decoded" },
  },
  { name: "no JSON for DEL", conf: "{", steps: ["DEL"] },
  { name: "no name", conf: { name: undefined } },
  { name: "empty name", conf: { name: "" } },
  { name: "name with a space", conf: { name: "a b" } },
  { name: "name with a slash", conf: { name: "../x" } },
  {
    name: "name a number",
    conf: { name: 5 },
    differs: { all: "decision: a name of another type is an invalid configuration, 7, as other members are" },
  },
  {
    name: "no bridge",
    conf: { bridge: undefined },
    steps: ["ADD", "DEL"],
  },
  { name: "bridge a number", conf: { bridge: 5 } },
  { name: "a bridge's name that is too long", conf: { bridge: "abcdefghijklmnop-br" } },
  { name: "unknown members", conf: { something: { deep: [1] }, capabilities: { mac: true } } },
  { name: "null members", conf: { mtu: null, vlan: null, ipam: null, dns: null, isGateway: null, prevResult: null } },
  { name: "mtu 1400", conf: { mtu: 1400 } },
  { name: "mtu 1280 with IPv6", conf: { mtu: 1280, ipam: STATIC({ address: "fd01::2/64" }) } },
  { name: "mtu 0", conf: { mtu: 0 } },
  { name: "mtu 68", conf: { mtu: 68 } },
  { name: "mtu 67", conf: { mtu: 67 } },
  { name: "mtu -1", conf: { mtu: -1 }, differs: { all: UNCHECKED } },
  { name: "mtu 65536", conf: { mtu: 65536 } },
  { name: "mtu a text", conf: { mtu: "1400" } },
  { name: "mtu 1400.5", conf: { mtu: 1400.5 } },
  { name: "vlan -1", conf: { vlan: -1 } },
  { name: "vlan 0", conf: { vlan: 0 } },
  { name: "vlan 4095", conf: { vlan: 4095 } },
  { name: "vlan 100000", conf: { vlan: 100000 } },
  { name: "vlan a text", conf: { vlan: "5" } },
  { name: "vlan -1 at DEL", conf: { vlan: -1 }, steps: ["DEL"] },
  { name: "hairpinMode false", conf: { hairpinMode: false } },
  { name: "hairpinMode and promiscMode", conf: { hairpinMode: true, promiscMode: true } },
  { name: "hairpinMode a text", conf: { hairpinMode: "yes" } },
  { name: "promiscMode", conf: { promiscMode: true } },
  { name: "every option off", conf: { isGateway: false, isDefaultGateway: false, forceAddress: false, ipMasq: false } },
  { name: "isGateway a text", conf: { isGateway: "yes" } },
  { name: "isGateway on layer 2", conf: { isGateway: true } },
  { name: "isGateway", conf: { isGateway: true, ...ONE } },
  { name: "isGateway, by the first address", conf: { isGateway: true, ipam: STATIC({ address: "10.1.0.2/24" }) } },
  {
    name: "isDefaultGateway, two families",
    conf: { isDefaultGateway: true, ipam: STATIC(ADDRESS, { address: "fd01::2/64" }) },
  },
  {
    name: "isDefaultGateway beside a default route of IPAM's",
    conf: { isDefaultGateway: true, ipam: { ...STATIC(ADDRESS), routes: [{ dst: "0.0.0.0/0", gw: "10.1.0.1" }] } },
  },
  { name: "ipMasq", conf: { isGateway: true, ipMasq: true, ...ONE } },
  { name: "ipMasq on layer 2", conf: { ipMasq: true } },
  { name: "a bridge that is not managed", conf: { bridge: "cni7", mtu: 1400, hairpinMode: true } },
  { name: "a gateway on a bridge that is not managed", conf: { bridge: "cni8", isDefaultGateway: true, ...ONE } },

  // ---- gateways on a bridge of the row's own
  { name: "isGateway, host-local", only: "local", conf: { isGateway: true, ...SUBNET("10.20.0") } },
  { name: "isGateway, both families", only: "local", conf: { isGateway: true, ...SUBNET("10.21.0", "fd21::") } },
  { name: "forceAddress", only: "local", conf: { isGateway: true, forceAddress: true, ...SUBNET("10.26.0") } },
  {
    name: "isDefaultGateway beside a default route without a gateway",
    only: "local",
    conf: { isDefaultGateway: true, ...SUBNET("10.24.0", undefined, { routes: [{ dst: "0.0.0.0/0" }] }) },
    differs: { all: SAME_ROUTE },
  },
  { name: "hairpinMode with addresses", conf: { hairpinMode: true, ...ONE } },
  { name: "promiscMode with addresses", conf: { promiscMode: true, ...ONE } },

  // ---- the MAC
  { name: "mac by runtimeConfig", conf: { runtimeConfig: { mac: MAC } } },
  { name: "mac by args.cni", conf: { args: { cni: { mac: MAC } } } },
  {
    name: "mac by all three: runtimeConfig wins",
    conf: { runtimeConfig: { mac: MAC }, args: { cni: { mac: "02:00:00:00:00:01" } } },
    env: { CNI_ARGS: "MAC=02:00:00:00:00:02" },
  },
  {
    name: "mac by args.cni and CNI_ARGS: args.cni wins",
    conf: { args: { cni: { mac: MAC } } },
    env: { CNI_ARGS: "MAC=02:00:00:00:00:02" },
  },
  { name: "mac in capitals", conf: { runtimeConfig: { mac: MAC.toUpperCase() } } },
  { name: "mac with dashes", conf: { runtimeConfig: { mac: MAC.replaceAll(":", "-") } } },
  { name: "mac empty", conf: { runtimeConfig: { mac: "" } } },
  { name: "mac of a group", conf: { runtimeConfig: { mac: "03:00:00:00:00:01" } } },
  { name: "mac of zeros", conf: { runtimeConfig: { mac: "00:00:00:00:00:00" } } },
  { name: "mac that is none", conf: { runtimeConfig: { mac: "x" } } },
  { name: "mac of eight octets", conf: { runtimeConfig: { mac: "02:00:00:00:00:00:00:01" } } },

  // ---- IPAM
  { name: "ipam {}", conf: { ipam: {} } },
  { name: "ipam without a type", conf: { ipam: { subnet: "10.0.0.0/24" } }, differs: { all: UNCHECKED } },
  { name: "ipam of an unknown type", conf: { ipam: { type: "no-such-plugin" } }, differs: { all: LEFT_BEHIND } },
  { name: "ipam with a path as type", conf: { ipam: { type: "../static" } }, differs: { all: LEFT_BEHIND } },
  { name: "ipam a text", conf: { ipam: "static" } },
  { name: "static without addresses", conf: { ipam: { type: "static" } }, differs: { all: LEFT_BEHIND } },
  { name: "static, a bad address", conf: { ipam: STATIC({ address: "10.1.0.2" }) }, differs: { all: LEFT_BEHIND } },
  { name: "static, two addresses", conf: { ipam: STATIC(ADDRESS, { address: "10.1.1.2/24" }) } },
  { name: "static, IPv6", conf: { ipam: STATIC({ address: "fd01::2/64", gateway: "fd01::1" }) } },
  {
    name: "static, /32",
    conf: { ipam: STATIC({ address: "10.1.0.2/32" }) },
    differs: { CHECK: "defect: CHECK finds no gateway for an address without one" },
  },
  {
    name: "static, route that its gateway cannot reach",
    conf: { ipam: { ...STATIC(ADDRESS), routes: [{ dst: "10.9.0.0/16", gw: "10.77.0.1" }] } },
    differs: { all: LEFT_BEHIND },
  },
  {
    name: "static, the same route twice",
    conf: { ipam: { ...STATIC(ADDRESS), routes: [{ dst: "10.9.0.0/16" }, { dst: "10.9.0.0/16" }] } },
    differs: { all: SAME_ROUTE },
  },
  {
    name: "static, route without any gateway",
    conf: { ipam: { ...STATIC({ address: "10.1.0.2/24" }), routes: [{ dst: "10.9.0.0/16" }] } },
  },
  { name: "host-local", conf: LOCAL() },
  { name: "host-local, routes", conf: LOCAL({ routes: [{ dst: "0.0.0.0/0" }] }) },
  {
    name: "host-local, two ranges",
    conf: LOCAL({ ranges: [[{ subnet: "10.2.0.0/24" }], [{ subnet: "fd02::/64" }]] }),
  },
  {
    name: "host-local, a full range",
    conf: LOCAL({ ranges: [[{ subnet: "10.2.0.0/31" }]] }),
    differs: { all: LEFT_BEHIND },
  },
  { name: "host-local without a range", conf: LOCAL({ ranges: undefined }), differs: { all: LEFT_BEHIND } },
  { name: "host-local at 0.2.0", conf: { cniVersion: "0.2.0", ...LOCAL() } },

  // ---- dns
  { name: "dns of the configuration", conf: { dns: { nameservers: ["10.0.0.53"], domain: "x.example" }, ...ONE } },
  {
    name: "dns of both: the configuration's",
    conf: { dns: { nameservers: ["10.0.0.53"] }, ipam: { ...STATIC(ADDRESS), dns: { nameservers: ["10.1.0.53"] } } },
  },
  { name: "dns on layer 2", conf: { dns: { search: ["a"], options: ["ndots:2"] } } },
  { name: "dns a text", conf: { dns: "x" } },

  // ---- chains
  { name: "prevResult of an empty chain", conf: PREV({}) },
  { name: "prevResult with a tap", conf: PREV({ interfaces: [{ name: "tap0", mac: MAC }] }), differs: { ADD: CHAIN } },
  {
    name: "prevResult with an address",
    conf: { ...ONE, ...PREV({ interfaces: [{ name: "x" }], ips: [{ address: "10.3.0.1/24", interface: 0 }] }) },
    differs: { ADD: CHAIN },
  },
  { name: "prevResult that is none", conf: { prevResult: "x" } },
  { name: "prevResult with a bad address", conf: PREV({ ips: [{ address: "x" }] }), differs: { all: UNCHECKED } },
];

type Found = Readonly<Record<string, unknown>>;

/** the same but for these members */
function sameBut(ours: Found, theirs: Found, ...members: readonly string[]): boolean {
  const less = (found: Found) =>
    JSON.stringify(Object.entries(found).filter(([key, value]) => !members.includes(key) && value !== undefined));
  return less(ours) === less(theirs);
}

const hasIpam = ({ conf }: OracleRow) =>
  typeof conf === "object" && Object.keys((conf.ipam as object | undefined) ?? {}).length > 0;

/** What holds for many rows. */
export const GENERAL_DIFFERENCES: readonly {
  readonly reason: string;
  readonly covers: (step: string, ours: Found, theirs: Found, row: OracleRow) => boolean;
}[] = [
  {
    reason: "the stock plugin has no code for most errors: 999",
    covers: (_, ours, theirs) => ours.exit === 1 && theirs.code === 999 && sameBut(ours, theirs, "code"),
  },
  {
    reason: "DEL is best effort (CNI SPEC, DEL): what ADD refused has nothing to delete, and that is no error",
    covers: (step, ours, theirs) =>
      step.includes("DEL") && ours.exit === 0 && theirs.exit === 1 && sameBut(ours, theirs, "exit", "code", "stdout"),
  },
  {
    reason: "defect: CHECK of a layer 2 network always fails, since it wants an address",
    covers: (step, ours, theirs, row) =>
      step.includes("CHECK") &&
      !hasIpam(row) &&
      ours.exit === 0 &&
      theirs.code === 999 &&
      sameBut(ours, theirs, "exit", "code", "stdout"),
  },
];
