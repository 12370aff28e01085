// Rules between resources, and files that are made to do harm.
import test from "ava";
import { CN, cn, faults, net, uplink } from "../peers/intent-text.ts";

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
