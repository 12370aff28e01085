import test from "ava";
import { IntentErrors, parseIntent } from "../../daemon/intent/intent.ts";

const host = { nodeName: "node1", nodeLabels: { rack: "a" } };

/** What is wrong, as `line:column CODE message`. */
function faults(text: string): string[] {
  try {
    parseIntent(text, "t.yaml", host);
    return [];
  } catch (error) {
    if (!(error instanceof IntentErrors)) throw error;
    return error.errors.map((e) => `${e.place?.line}:${e.place?.column} ${e.code} ${e.message}`);
  }
}

const CN = `apiVersion: network.harvesterhci.io/v1beta1
kind: ClusterNetwork
metadata: {name: oob}
---
`;
/** lines 5 to 7 are the head, 8 is spec: */
const vc = (spec: string, name = "vc1"): string => `${CN}apiVersion: network.harvesterhci.io/v1beta1
kind: VlanConfig
metadata: {name: ${name}}
${spec}`;
const net = (spec: string): string => `${CN}apiVersion: portwright.io/v1alpha1
kind: Network
metadata: {name: n1}
spec: {clusterNetwork: oob, ${spec}}
`;
const nad = (config: string, metadata = "name: n1"): string => `${CN}apiVersion: k8s.cni.cncf.io/v1
kind: NetworkAttachmentDefinition
metadata: {${metadata}}
spec:
  config: '${config}'
`;
const uplink = (text: string): string => vc(`spec: {clusterNetwork: oob, uplink: {nics: [a], ${text}}}\n`);
const cn = (name: string): string => `apiVersion: network.harvesterhci.io/v1beta1
kind: ClusterNetwork
metadata: {name: ${name}}
`;
const route = (text: string): string => net(`type: UntaggedNetwork, route: {${text}}`);
const manual = (gateway: string, more = ""): string =>
  route(`mode: manual, cidr: 10.1.0.0/24, gateway: ${gateway}${more}`);

/** what is tried, the text, the place, the code, words of the message */
const rules: readonly (readonly [string, string, string, string, RegExp])[] = [
  // documents
  ["tab as indentation", "a:\n\tb: 1\n", "2:1", "INTENT_SYNTAX", /[Tt]ab/],
  ["unclosed quote", 'kind: "x\n', "2:1", "INTENT_SYNTAX", /quote/],
  ["a key twice", "kind: a\nkind: b\n", "2:1", "INTENT_DUPLICATE", /unique/],
  ["an unknown tag", "kind: !secret a\n", "1:7", "INTENT_SYNTAX", /tag/],
  ["an alias without anchor", "kind: *a\n", "1:7", "INTENT_SYNTAX", /anchor/],
  ["__proto__", "kind: a\n__proto__: {x: 1}\n", "2:1", "INTENT_UNKNOWN_FIELD", /__proto__ is refused/],
  ["constructor deep inside", "a: {b: [{constructor: 1}]}\n", "1:10", "INTENT_UNKNOWN_FIELD", /constructor is refused/],
  ["a key that is no text", "1: a\n", "1:1", "INTENT_INVALID", /a key must be text/],
  ["a list", "- a\n", "1:1", "INTENT_INVALID", /must be a map/],
  ["no kind", "apiVersion: v1\n", "1:1", "INTENT_INVALID", /kind is missing/],
  ["no apiVersion", "kind: Network\n", "1:1", "INTENT_INVALID", /portwright\.io\/v1alpha1/],
  [
    "a kind of a later issue",
    "apiVersion: network.harvesterhci.io/v1beta1\nkind: LinkMonitor\n",
    "2:7",
    "INTENT_UNKNOWN_KIND",
    /LinkMonitor/,
  ],
  [
    "another version",
    "kind: Network\napiVersion: portwright.io/v9\n",
    "2:13",
    "INTENT_UNKNOWN_KIND",
    /v1alpha1, not "portwright\.io\/v9"/,
  ],
  // ClusterNetwork
  ["13 characters", cn("abcdefghijklm"), "3:18", "INTENT_INVALID", /metadata\.name .*12 characters/],
  ["upper case", cn("Oob"), "3:18", "INTENT_INVALID", /DNS label/],
  ["a spec", `${cn("oob")}spec: {}\n`, "4:1", "INTENT_UNKNOWN_FIELD", / spec is not a known field/],
  ["defined twice", `${CN}${cn("oob")}`, "5:1", "INTENT_DUPLICATE", /ClusterNetwork oob is defined at t\.yaml:1:1/],
  ["no name", cn("oob").replace("name: oob", ""), "3:11", "INTENT_INVALID", /metadata\.name is missing/],
  // VlanConfig
  ["no uplink", vc("spec: {clusterNetwork: oob}\n"), "8:7", "INTENT_INVALID", /spec\.uplink is missing/],
  ["no NIC", vc("spec: {clusterNetwork: oob, uplink: {nics: []}}\n"), "8:44", "INTENT_INVALID", /at least one NIC/],
  [
    "unknown field",
    uplink("speed: 1"),
    "8:49",
    "INTENT_UNKNOWN_FIELD",
    /spec\.uplink\.speed is not a known field; known here: nics/,
  ],
  [
    "NIC name of 16 bytes",
    uplink("mtu: 1").replace("[a], mtu: 1", "[abcdefghijklmnop]"),
    "8:45",
    "INTENT_INVALID",
    /spec\.uplink\.nics\[0\] .*15 bytes.*not "abcdefghijklmnop"/,
  ],
  [
    "NIC name of 8 characters and 16 bytes",
    uplink("x").replace("[a], x", "[éééééééé]"),
    "8:45",
    "INTENT_INVALID",
    /15 bytes/,
  ],
  ["NIC name with /", uplink("x").replace("[a], x", '["a/b"]'), "8:45", "INTENT_INVALID", /not "a\/b"/],
  ["the loopback as NIC", uplink("x").replace("[a], x", "[lo]"), "8:45", "INTENT_INVALID", /not lo/],
  [
    "our own bridge as NIC",
    uplink("x").replace("[a], x", "[oob-br]"),
    "8:45",
    "INTENT_INVALID",
    /made for ClusterNetwork oob/,
  ],
  ["a NIC twice", uplink("x").replace("[a], x", "[a, b, a]"), "8:51", "INTENT_DUPLICATE", /names a again/],
  ["MTU 575", uplink("linkAttributes: {mtu: 575}"), "8:71", "INTENT_INVALID", /mtu must be 0 or 576 to 9000, not 575/],
  ["MTU 9001", uplink("linkAttributes: {mtu: 9001}"), "8:71", "INTENT_INVALID", /not 9001/],
  ["MTU -1", uplink("linkAttributes: {mtu: -1}"), "8:71", "INTENT_INVALID", /not -1/],
  ["MTU 1500.5", uplink("linkAttributes: {mtu: 1500.5}"), "8:71", "INTENT_INVALID", /not 1500\.5/],
  ["MTU as text", uplink('linkAttributes: {mtu: "1500"}'), "8:71", "INTENT_INVALID", /not "1500"/],
  ["txQLen -2", uplink("linkAttributes: {txQLen: -2}"), "8:74", "INTENT_INVALID", /-1 or more/],
  ["group MAC", uplink('linkAttributes: {hardwareAddr: "01:00:5e:00:00:01"}'), "8:80", "INTENT_INVALID", /MAC address/],
  ["zero MAC", uplink('linkAttributes: {hardwareAddr: "00:00:00:00:00:00"}'), "8:80", "INTENT_INVALID", /MAC address/],
  ["mode 7", uplink("bondOptions: {mode: 7}"), "8:69", "INTENT_INVALID", /active-backup.*not 7/],
  ["mode unknown", uplink("bondOptions: {mode: lacp}"), "8:69", "INTENT_INVALID", /not "lacp"/],
  ["miimon -2", uplink("bondOptions: {miimon: -2}"), "8:71", "INTENT_INVALID", /miimon must be -1 or more/],
  ["native VLAN 0", uplink("nativeVlan: 0"), "8:61", "INTENT_INVALID", /be a VLAN, 1 to 4094, not 0/],
  ["native VLAN 4095", uplink("nativeVlan: 4095"), "8:61", "INTENT_INVALID", /not 4095/],
  [
    "selector value not text",
    vc("spec: {clusterNetwork: oob, nodeSelector: {a: true}, uplink: {nics: [a]}}\n"),
    "8:47",
    "INTENT_INVALID",
    /nodeSelector\.a must be text.*not true/,
  ],
  [
    "unknown cluster network",
    uplink("").replace("clusterNetwork: oob", "clusterNetwork: mgm"),
    "8:24",
    "INTENT_REFERENCE",
    /VlanConfig vc1 names ClusterNetwork mgm, which is not defined/,
  ],
  // Network
  ["VLAN 0", net("type: L2VlanNetwork, vlan: 0"), "8:56", "INTENT_INVALID", /1 to 4094 for an L2VlanNetwork, not 0/],
  [
    "VLAN 4095",
    net("type: L2VlanNetwork, vlan: 4095"),
    "8:56",
    "INTENT_INVALID",
    /spec\.vlan must be 0 or a VLAN, 1 to 4094, not 4095/,
  ],
  ["VLAN abc", net('type: L2VlanNetwork, vlan: "abc"'), "8:56", "INTENT_INVALID", /not "abc"/],
  ["VLAN missing", net("type: L2VlanNetwork"), "8:7", "INTENT_INVALID", /L2VlanNetwork and no vlan/],
  ["untagged with a VLAN", net("type: UntaggedNetwork, vlan: 5"), "8:58", "INTENT_INVALID", /0 or absent/],
  ["untagged with a trunk", net("type: UntaggedNetwork, trunk: [{id: 5}]"), "8:59", "INTENT_INVALID", /no meaning/],
  ["type unknown", net("type: Overlay"), "8:35", "INTENT_INVALID", /one of L2VlanNetwork/],
  ["trunk missing", net("type: L2VlanTrunkNetwork"), "8:7", "INTENT_INVALID", /no trunk/],
  ["trunk empty", net("type: L2VlanTrunkNetwork, trunk: []"), "8:62", "INTENT_INVALID", /at least one VLAN/],
  [
    "trunk element empty",
    net("type: L2VlanTrunkNetwork, trunk: [{}]"),
    "8:63",
    "INTENT_INVALID",
    /trunk\[0\] is empty/,
  ],
  [
    "trunk with minID alone",
    net("type: L2VlanTrunkNetwork, trunk: [{minID: 5}]"),
    "8:63",
    "INTENT_INVALID",
    /both minID and maxID/,
  ],
  [
    "trunk backwards",
    net("type: L2VlanTrunkNetwork, trunk: [{minID: 5, maxID: 4}]"),
    "8:71",
    "INTENT_INVALID",
    /5 > 4/,
  ],
  [
    "trunk id 0",
    net("type: L2VlanTrunkNetwork, trunk: [{id: 0}]"),
    "8:68",
    "INTENT_INVALID",
    /trunk\[0\]\.id must be a VLAN, 1 to 4094, not 0/,
  ],
  [
    "trunk with a route",
    net("type: L2VlanTrunkNetwork, trunk: [{id: 5}], route: {mode: auto}"),
    "8:80",
    "INTENT_INVALID",
    /no meaning for a trunk/,
  ],
  ["fdbLimit -1", net("type: UntaggedNetwork, fdbLimit: -1"), "8:62", "INTENT_INVALID", /0 to 65536/],
  [
    "network of an unknown cluster network",
    net("type: UntaggedNetwork").replace("clusterNetwork: oob", "clusterNetwork: mgm"),
    "8:24",
    "INTENT_REFERENCE",
    /Network n1/,
  ],
  // routes
  ["route without mode", route("gateway: 10.1.0.1"), "8:59", "INTENT_INVALID", /spec\.route\.mode is missing/],
  ["gateway outside", manual("10.2.0.1"), "8:102", "INTENT_INVALID", /inside the route's cidr, not 10\.2\.0\.1/],
  ["gateway is the subnet's name", manual("10.1.0.0"), "8:102", "INTENT_INVALID", /host inside/],
  ["gateway is the broadcast address", manual("10.1.0.255"), "8:102", "INTENT_INVALID", /host inside/],
  ["gateway no address", manual("10.1.0.256"), "8:102", "INTENT_INVALID", /an IPv4 address/],
  ["gateway missing", route("mode: manual, cidr: 10.1.0.0/24"), "8:59", "INTENT_INVALID", /manual and no gateway/],
  ["cidr missing", route("mode: manual, gateway: 10.1.0.1"), "8:59", "INTENT_INVALID", /manual and no cidr/],
  ["cidr /0", route("mode: manual, cidr: 0.0.0.0/0, gateway: 10.1.0.1"), "8:80", "INTENT_INVALID", /at least 1/],
  ["cidr /33", route("mode: manual, cidr: 10.0.0.0/33, gateway: 10.1.0.1"), "8:80", "INTENT_INVALID", /IPv4 subnet/],
  [
    "cidr without length",
    route("mode: manual, cidr: 10.0.0.0, gateway: 10.1.0.1"),
    "8:80",
    "INTENT_INVALID",
    /IPv4 subnet/,
  ],
  [
    "probe address outside",
    manual("10.1.0.1", ", probeAddress: 10.9.0.1"),
    "8:126",
    "INTENT_INVALID",
    /probeAddress .* inside/,
  ],
  [
    "probe address is the gateway",
    manual("10.1.0.1", ", probeAddress: 10.1.0.1"),
    "8:126",
    "INTENT_INVALID",
    /not the gateway's/,
  ],
  ["auto with a gateway", route("mode: auto, gateway: 10.1.0.1"), "8:81", "INTENT_INVALID", /no meaning in mode auto/],
  [
    "manual with a server",
    manual("10.1.0.1", ", serverIPAddr: 10.1.0.2"),
    "8:126",
    "INTENT_INVALID",
    /no meaning in mode manual/,
  ],
  ["auto with a bad server", route("mode: auto, serverIPAddr: here"), "8:86", "INTENT_INVALID", /IP address/],
  // NetworkAttachmentDefinition; the JSON starts at 9:12
  ["config not JSON", nad('{"type":}'), "9:20", "INTENT_SYNTAX", /spec\.config is not JSON/],
  ["config with a key twice", nad('{"vlan":1,"vlan":2}'), "9:22", "INTENT_DUPLICATE", /unique/],
  ["config with __proto__", nad('{"__proto__":{}}'), "9:13", "INTENT_UNKNOWN_FIELD", /__proto__/],
  [
    "config of another plugin",
    nad('{"type":"kube-ovn"}'),
    "9:20",
    "INTENT_INVALID",
    /spec\.config: type must be bridge or portwright.*not "kube-ovn"/,
  ],
  [
    "config with an unknown field",
    nad('{"type":"bridge","bridge":"oob-br","vlam":1}'),
    "9:47",
    "INTENT_UNKNOWN_FIELD",
    /spec\.config: vlam/,
  ],
  ["bridge without -br", nad('{"type":"bridge","bridge":"oob"}'), "9:38", "INTENT_INVALID", /<cluster network>-br/],
  [
    "bridge of 16 characters",
    nad('{"type":"bridge","bridge":"abcdefghijklm-br"}'),
    "9:38",
    "INTENT_INVALID",
    /15 characters/,
  ],
  [
    "bridge of an unknown cluster network",
    nad('{"type":"bridge","bridge":"mgm-br"}'),
    "9:38",
    "INTENT_REFERENCE",
    /Network default\/n1 names ClusterNetwork mgm/,
  ],
  ["no bridge and no label", nad('{"type":"bridge"}'), "9:12", "INTENT_INVALID", /has no bridge/],
  [
    "vlan 4095 in config",
    nad('{"type":"bridge","bridge":"oob-br","vlan":4095}'),
    "9:54",
    "INTENT_INVALID",
    /spec\.config: vlan .*not 4095/,
  ],
  [
    "trunk beside vlan",
    nad('{"type":"bridge","bridge":"oob-br","vlan":5,"vlanTrunk":[{"id":6}]}'),
    "9:54",
    "INTENT_INVALID",
    /must be 0 beside vlanTrunk/,
  ],
  [
    "empty trunk element in config",
    nad('{"type":"bridge","bridge":"oob-br","vlanTrunk":[{"id":6},{}]}'),
    "9:69",
    "INTENT_INVALID",
    /vlanTrunk\[1\] is empty/,
  ],
  [
    "MTU that is not the uplink's",
    nad('{"type":"bridge","bridge":"oob-br","mtu":9000}'),
    "9:53",
    "INTENT_INVALID",
    /MTU 9000, but its ClusterNetwork oob has 1500/,
  ],
  [
    "hairpin and promiscuous mode",
    nad('{"type":"bridge","bridge":"oob-br","hairpinMode":true,"promiscMode":true}'),
    "9:61",
    "INTENT_INVALID",
    /together/,
  ],
  [
    "label of another type",
    nad(
      '{"type":"bridge","bridge":"oob-br","vlan":5}',
      "name: n1, labels: {network.harvesterhci.io/type: UntaggedNetwork}",
    ),
    "7:61",
    "INTENT_INVALID",
    /type"\] must be "L2VlanNetwork" by spec\.config, not "UntaggedNetwork"/,
  ],
  [
    "label of another VLAN",
    nad('{"type":"bridge","bridge":"oob-br","vlan":5}', 'name: n1, labels: {network.harvesterhci.io/vlan-id: "6"}'),
    "7:64",
    "INTENT_INVALID",
    /vlan-id"\] must be "5"/,
  ],
  [
    "label of another cluster network",
    nad('{"type":"bridge","bridge":"oob-br"}', "name: n1, labels: {network.harvesterhci.io/clusternetwork: x}"),
    "7:71",
    "INTENT_INVALID",
    /must be "oob" by the bridge oob-br/,
  ],
  [
    "route annotation not JSON",
    nad('{"type":"bridge","bridge":"oob-br"}', "name: n1, annotations: {network.harvesterhci.io/route: x}"),
    "7:67",
    "INTENT_SYNTAX",
    /annotation network\.harvesterhci\.io\/route is not JSON/,
  ],
  [
    "route annotation with a gateway outside",
    nad(
      '{"type":"bridge","bridge":"oob-br"}',
      `name: n1, annotations: {network.harvesterhci.io/route: '{"mode":"manual","cidr":"10.0.0.0/24","gateway":"10.1.0.1"}'}`,
    ),
    "7:116",
    "INTENT_INVALID",
    /route: gateway must be an address of a host inside/,
  ],
];

for (const [name, text, place, code, message] of rules) {
  test(`refused: ${name}`, (t) => {
    const found = faults(text);
    t.is(found.length, 1, found.join("\n"));
    t.true(found[0]?.startsWith(`${place} ${code} `), found[0]);
    t.regex(found[0] ?? "", message);
  });
}

test("two VlanConfigs of a cluster network for this host; not if a selector keeps one away", (t) => {
  const second = (selector: string): string => `${uplink("")}---
apiVersion: network.harvesterhci.io/v1beta1
kind: VlanConfig
metadata: {name: vc2}
spec: {clusterNetwork: oob, nodeSelector: ${selector}, uplink: {nics: [b]}}
`;
  t.deepEqual(faults(second("{rack: b}")), []);
  t.deepEqual(faults(second("{kubernetes.io/hostname: node2}")), []);
  const wanted = [
    "13:24 INTENT_DUPLICATE VlanConfig vc2 and VlanConfig vc1 (t.yaml:5:1) both match this host for ClusterNetwork oob",
  ];
  for (const selector of ["{}", "{rack: a}", "{kubernetes.io/hostname: node1}"]) {
    t.deepEqual(faults(second(selector)), wanted);
  }
});

test("VlanConfigs of a cluster network agree on the MTU, on whichever hosts; 0 is 1500", (t) => {
  const second = (mtu: number): string => `${uplink("linkAttributes: {mtu: 0}")}---
apiVersion: network.harvesterhci.io/v1beta1
kind: VlanConfig
metadata: {name: vc2}
spec: {clusterNetwork: oob, nodeSelector: {rack: b}, uplink: {nics: [b], linkAttributes: {mtu: ${mtu}}}}
`;
  t.deepEqual(faults(second(1500)), []);
  const [fault, ...more] = faults(second(9000));
  t.deepEqual(more, []);
  t.regex(fault ?? "", /^13:96 INTENT_INVALID VlanConfig vc2 has MTU 9000, .* has 1500 \(t\.yaml:8:71\)$/);
});

test("a NIC belongs to one cluster network of a host", (t) => {
  const text = `${uplink("")}---
${cn("stor")}---
apiVersion: network.harvesterhci.io/v1beta1
kind: VlanConfig
metadata: {name: vc2}
spec: {clusterNetwork: stor, uplink: {nics: [b, a]}}
`;
  t.deepEqual(faults(text), ["17:49 NIC_SHARED NIC a belongs to ClusterNetwork oob already"]);
});

test("all that is wrong is said at once, and a faulty cluster network is not also an unknown one", (t) => {
  const text = `${cn("oob")}color: red
---
${net("type: L2VlanNetwork, vlan: 0, portIsolation: 1").slice(CN.length)}---
a: [
`;
  t.deepEqual(
    faults(text).map((f) => f.split(" ").slice(0, 2).join(" ")),
    ["4:1 INTENT_UNKNOWN_FIELD", "9:74 INTENT_INVALID", "12:1 INTENT_SYNTAX"],
  );
});

test("a reference to a cluster network that is faulty itself is no second fault", (t) => {
  const text = `${cn("oob")}color: red\n---\n${net("type: UntaggedNetwork").slice(CN.length)}`;
  t.is(faults(text).length, 1);
});

test("aliases that multiply, and aliases that contain themselves, are refused; plain ones are fine", (t) => {
  const bomb = Array.from(
    { length: 9 },
    (_, i) =>
      `a${i}: &a${i} [${
        i === 0
          ? "x"
          : Array(9)
              .fill(`*a${i - 1}`)
              .join(",")
      }]`,
  );
  t.regex(faults(bomb.join("\n"))[0] ?? "", /INTENT_SYNTAX .*more than 50000 values/);
  t.regex(faults("a: &a [*a]\n")[0] ?? "", /INTENT_SYNTAX .*refers to itself/);
  t.regex(faults("[".repeat(50_000))[0] ?? "", /INTENT_SYNTAX/);
  t.regex(faults(`a: ${"[".repeat(40)}${"]".repeat(40)}`)[0] ?? "", /nested deeper than 32/);
  const text = `apiVersion: network.harvesterhci.io/v1beta1
kind: ClusterNetwork
metadata: {name: oob, labels: &l {a: b}, annotations: *l}
`;
  t.deepEqual(faults(text), []);
});

test("an error through an alias names the place of the anchor", (t) => {
  const text = `apiVersion: network.harvesterhci.io/v1beta1
kind: ClusterNetwork
metadata: {name: oob, labels: &l {a: 1}}
`;
  t.regex(faults(text)[0] ?? "", /^3:38 INTENT_INVALID metadata\.labels\.a/);
});
