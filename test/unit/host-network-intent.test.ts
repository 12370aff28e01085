// HostNetworkConfig: what is read, for which host, and every refusal with its place.
import test from "ava";
import { parseIntent } from "../../daemon/intent/intent.ts";
import { CN, faults, uplink } from "../peers/intent-text.ts";

const host = { nodeName: "node1", nodeLabels: { rack: "a" } };
/** lines 5 to 7 are the head, 8 is spec: */
const hnc = (spec: string, name = "h1", before = CN): string => `${before}apiVersion: network.harvesterhci.io/v1beta1
kind: HostNetworkConfig
metadata: {name: ${name}}
spec: {clusterNetwork: oob, ${spec}}
`;
const read = (text: string) => [...parseIntent(text, "t.yaml", host).hostNetworkConfigs.values()];
const STATIC = "vlanID: 100, mode: static, ips: {node1: 10.0.0.5/24}";

test("static addresses of this host, in canonical text; those of other hosts are checked and left out", (t) => {
  const [one] = read(hnc("vlanID: 100, mode: static, underlay: true, ips: {node1: 10.0.0.5/24, node2: 10.0.0.6/24}"));
  t.like(one, { name: "h1", vlan: 100, dhcp: false, underlay: true, hardwareAddress: "" });
  t.deepEqual(one?.addresses, [{ address: "10.0.0.5", prefixLength: 24 }]);
  const both = 'hostMultiFamilyIPs: {node1: {ipv4: 10.0.0.5/24, ipv6: "2001:DB8:0::5/64"}}';
  const [two] = read(
    hnc(`vlanID: 100, mode: static, ipFamily: dual-stack, ${both}, hardwareAddr: "02:AA:00:00:00:01"`),
  );
  t.deepEqual(
    two?.addresses.map(({ address }) => address),
    ["10.0.0.5", "2001:db8::5"],
  );
  t.is(two?.hardwareAddress, "02:aa:00:00:00:01");
});

test("mode dhcp has no addresses; what mode static left behind is passed over", (t) => {
  const [one] = read(hnc("vlanID: 100, mode: dhcp, ips: {node1: 10.0.0.5/24}"));
  t.like(one, { dhcp: true });
  t.deepEqual(one?.addresses, []);
});

test("a node selector is a plain map or a label selector", (t) => {
  const matching = ["{}", "{rack: a}", "{matchLabels: {rack: a}}", "{matchLabels: {kubernetes.io/hostname: node1}}"];
  const expression = (text: string): string => `{matchExpressions: [{key: rack, ${text}}]}`;
  matching.push(expression("operator: In, values: [a, b]"), expression("operator: NotIn, values: [b]"));
  matching.push(expression("operator: Exists"), "{matchExpressions: [{key: other, operator: DoesNotExist}]}");
  for (const selector of matching) t.is(read(hnc(`${STATIC}, nodeSelector: ${selector}`)).length, 1, selector);
  const others = ["{rack: b}", "{matchLabels: {rack: b}}", expression("operator: In, values: [b]")];
  others.push(expression("operator: NotIn, values: [a]"), expression("operator: DoesNotExist"));
  for (const selector of others) t.is(read(hnc(`${STATIC}, nodeSelector: ${selector}`)).length, 0, selector);
  t.regex(faults(hnc(`${STATIC}, nodeSelector: {matchLabels: {rack: 1}}`)).join("\n"), /INTENT_INVALID/);
});

const refusals: readonly (readonly [spec: string, fault: string])[] = [
  ["vlanID: 0, mode: dhcp", "8:37 INTENT_INVALID spec.vlanID must be a VLAN, 1 to 4094, not 0"],
  ["vlanID: 5, mode: auto", '8:46 INTENT_INVALID spec.mode must be one of static, dhcp, not "auto"'],
  [
    "vlanID: 5, mode: static",
    "8:7 INTENT_INVALID HostNetworkConfig h1 has mode static and no address for this host, node1",
  ],
  [
    "vlanID: 5, mode: static, ips: {node2: 10.0.0.5/24}",
    "8:59 INTENT_INVALID HostNetworkConfig h1 has mode static and no address for this host, node1",
  ],
  [
    "vlanID: 5, mode: static, ips: {node1: 10.0.0.0/24}",
    "8:67 INTENT_INVALID spec.ips.node1 must be the address of one host: 10.0.0.0/24 is the subnet's network or broadcast address",
  ],
  [
    "vlanID: 5, mode: static, ips: {node1: 10.0.0.255/24}",
    "8:67 INTENT_INVALID spec.ips.node1 must be the address of one host: 10.0.0.255/24 is the subnet's network or broadcast address",
  ],
  [
    "vlanID: 5, mode: static, ips: {node1: 224.0.0.1/24}",
    "8:67 INTENT_INVALID spec.ips.node1 must be the address of one host: 224.0.0.1/24 is no unicast address",
  ],
  [
    "vlanID: 5, mode: static, ips: {node1: 10.0.0.5/24, node2: 10.0.1.6/24}",
    "8:87 INTENT_INVALID spec.ips.node2 must be in the subnet of node1, which has 10.0.0.5/24, not 10.0.1.6/24",
  ],
  [
    "vlanID: 5, mode: static, ips: {node1: 10.0.0.5/24, node2: 10.0.0.5/24}",
    "8:87 INTENT_DUPLICATE spec.ips.node2 is the address of node1 already",
  ],
  [
    "vlanID: 5, mode: static, ips: {node1: 10.0.0.5}",
    '8:67 INTENT_INVALID spec.ips.node1 must be an IPv4 address with its prefix length, e.g. 10.100.0.5/24, not "10.0.0.5"',
  ],
  [
    "vlanID: 5, mode: dhcp, ipFamily: dual-stack",
    "8:62 INTENT_INVALID spec.ipFamily must be ipv4-only in mode dhcp, not dual-stack: IPv6 comes by router advertisement",
  ],
];
for (const [spec, fault] of refusals) {
  test(`refused: ${spec}`, (t) => t.deepEqual(faults(hnc(spec)), [fault]));
}

test("the interface's name has to fit", (t) => {
  const named = (cn: string, vlan: number): string => hnc(`vlanID: ${vlan}, mode: dhcp`).replaceAll("oob", cn);
  t.deepEqual(faults(named("seven77", 4094)), []);
  t.deepEqual(faults(named("eight888", 999)), []);
  t.deepEqual(faults(named("eight888", 1000)), [
    "8:42 INTENT_INVALID spec.vlanID makes the interface eight888-br.1000, which has 16 bytes; an interface name has at most 15",
  ]);
});

test("one VLAN of a cluster network on this host once; the cluster network is defined; IPv6 wants 1280 octets", (t) => {
  t.deepEqual(faults(hnc(STATIC, "h2", `${hnc("vlanID: 100, mode: dhcp")}---\n`)), [
    "13:37 INTENT_DUPLICATE HostNetworkConfig h2 and HostNetworkConfig h1 (t.yaml:5:1) both match this host for VLAN 100 of ClusterNetwork oob",
  ]);
  t.deepEqual(faults(hnc("vlanID: 100, mode: dhcp, nodeSelector: {rack: b}", "h2", `${hnc(STATIC)}---\n`)), []);
  t.deepEqual(faults(hnc(STATIC).replace("clusterNetwork: oob", "clusterNetwork: other")), [
    "8:24 INTENT_REFERENCE HostNetworkConfig h1 names ClusterNetwork other, which is not defined",
  ]);
  const six = 'vlanID: 5, mode: static, ipFamily: ipv6-only, hostMultiFamilyIPs: {node1: {ipv6: "2001:db8::5/64"}}';
  const [fault = ""] = faults(hnc(six, "h1", `${uplink("linkAttributes: {mtu: 1000}")}---\n`));
  t.regex(fault, /has an IPv6 address, but ClusterNetwork oob has MTU 1000: IPv6 wants at least 1280$/);
});
