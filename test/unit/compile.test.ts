// What a host should look like, from intent, attachments and what is there; and the conditions that say why not.
import test from "ava";
import { compile } from "../../daemon/model/compile.ts";
import { diff } from "../../daemon/model/diff.ts";
import { VlanSet } from "../../daemon/model/vlan-set.ts";
import {
  address,
  attachment,
  input,
  intent,
  network,
  observedPort,
  vlanConfig,
  workloadLink,
} from "../peers/model-fixtures.ts";
import { link, simulate } from "../peers/simulate.ts";

const nic0 = link({ ifindex: 2, name: "nic0" });
const oob = (uplink = {}, networks = [network("vlan100", "oob", 100, true)]) =>
  intent(["oob"], [vlanConfig("oob", ["nic0"], uplink)], networks);
const codes = (compiled: ReturnType<typeof compile>) => compiled.target.conditions.map((c) => `${c.object} ${c.code}`);

test("a cluster network gets a bridge, its NIC, a probe pair and the ports of both", (t) => {
  const { target } = compile(input({ intent: oob({ mtu: 9000 }), links: [nic0] }));
  t.deepEqual([...target.links.keys()], ["nic0", "oob-br", "oob-pp", "oob-pi"]);
  t.true([...target.links.values()].every((l) => l.mtu === 9000 && l.up && l.clusterNetwork === "oob"));
  t.like(target.links.get("oob-br"), { kind: "bridge", alias: "portwright bridge oob switch 0", promiscuous: false });
  t.like(target.links.get("oob-br")?.data, {
    stpState: 0,
    forwardDelay: 0,
    mcastSnooping: false,
    nfCallIptables: false,
    nfCallIp6tables: false,
    nfCallArptables: false,
  });
  t.like(target.links.get("nic0"), { kind: "nic", promiscuous: true, alias: "" });
  t.like(target.links.get("oob-pp"), { kind: "veth", noArp: true, peer: { name: "oob-pi", mtu: 9000 } });
  t.like(target.links.get("oob-pi"), { kind: "veth", noArp: true, peer: undefined });
  t.deepEqual([...target.ports.keys()], ["oob-pp", "nic0"]);
  t.deepEqual(target.conditions, []);
});

test("the probe port is a tagged trunk of the probed VLANs, and learns", (t) => {
  const networks = [network("a", "oob", 100, true), network("b", "oob", 200), network("c", "oob", 0, true)];
  const { target } = compile(input({ intent: oob({ nativeVlan: 7 }, networks), links: [nic0] }));
  const config = target.ports.get("oob-pp")?.config;
  t.like(config, { kind: "host", pvid: 0, peer: false, learn: true, flood: true, uplink: false, mtu: 1500 });
  t.is(String(config?.allowed), "7,100");
  t.true(config?.untagged.isEmpty);
});

test("no probed network, no probe pair", (t) => {
  const { target } = compile(input({ intent: oob({}, [network("a", "oob", 100)]), links: [nic0] }));
  t.deepEqual([...target.links.keys()], ["nic0", "oob-br"]);
});

test("the uplink carries only VLANs in demand, the native one untagged and only if in demand", (t) => {
  const a = attachment("a", "oob", { mode: "access", vlan: 200 });
  const b = attachment("b", "oob", { mode: "trunk", tagged: VlanSet.of(300, 301), native: 0 });
  const links = [nic0, workloadLink(5, a), workloadLink(6, b)];
  const without = compile(input({ intent: oob(), links, attachments: [a, b] })).target.ports.get("nic0")?.config;
  t.is(String(without?.allowed), "100,200,300-301");
  t.like(without, { kind: "nic", uplink: true, pvid: 0 });
  t.true(without?.untagged.isEmpty);

  const c = attachment("c", "oob", { mode: "untagged" });
  const all = { intent: oob({ nativeVlan: 9 }), links: [...links, workloadLink(7, c)], attachments: [a, b, c] };
  const { target } = compile(input(all));
  t.is(String(target.ports.get("nic0")?.config.allowed), "9,100,200,300-301");
  t.is(String(target.ports.get("nic0")?.config.untagged), "9");
  t.is(target.ports.get("nic0")?.config.pvid, 9);
  t.is(target.ports.get("pwc")?.config.pvid, 9);
});

test("a workload's port is delivered to its peer, with its policy and its own MTU", (t) => {
  const a = attachment("a", "oob", { mode: "access", vlan: 200 }, { isolated: true, fdbLimit: 4, mtuAsked: 1400 });
  const { target } = compile(input({ intent: oob(), links: [nic0, workloadLink(5, a)], attachments: [a] }));
  t.like(target.ports.get("pwa"), { role: "workload", owner: "a", network: "net", clusterNetwork: "oob" });
  t.like(target.ports.get("pwa")?.config, {
    peer: true,
    isolated: true,
    fdbLimit: 4,
    mtu: 1400,
    pvid: 200,
    kind: "veth",
  });
  t.is(target.links.get("pwa")?.kind, "workload");
});

test("a workload has the network's MTU, or what it asked for as far as the network carries it", (t) => {
  const a = attachment("a", "oob", { mode: "access", vlan: 200 });
  const b = attachment("b", "oob", { mode: "access", vlan: 200 }, { mtuAsked: 4000, mtu: 4000 });
  const links = [nic0, workloadLink(5, a), workloadLink(6, b)];
  const at = (mtu: number) => compile(input({ intent: oob({ mtu }), links, attachments: [a, b] }));
  const large = at(9000);
  t.deepEqual([large.target.links.get("pwa")?.mtu, large.target.ports.get("pwa")?.config.mtu], [9000, 9000]);
  t.deepEqual([large.target.links.get("pwb")?.mtu, large.target.ports.get("pwb")?.config.mtu], [4000, 4000]);
  t.deepEqual(codes(large), []);
  const small = at(1400);
  t.deepEqual([small.target.links.get("pwb")?.mtu, small.target.ports.get("pwb")?.config.mtu], [1400, 1400]);
  t.deepEqual(codes(small), ["Attachment/b MTU_TOO_LARGE"]);
});

test("a container's end that did not get an MTU is a condition, until another is wanted", (t) => {
  const a = attachment("a", "oob", { mode: "access", vlan: 200 });
  const unreached = new Map([["a", { mtu: 9000, message: "no way" }]]);
  const at = (mtu: number) =>
    compile(input({ intent: oob({ mtu }), links: [nic0, workloadLink(5, a)], attachments: [a], unreached }));
  t.deepEqual(codes(at(9000)), ["Attachment/a WORKLOAD_UNREACHABLE"]);
  t.is(at(9000).target.links.get("pwa")?.containerEnd, undefined);
  t.deepEqual(codes(at(1400)), []);
  t.deepEqual(at(1400).target.links.get("pwa")?.containerEnd, { attachment: "a", mtu: 1500 });
});

test("a workload whose link is gone is a condition, unless it is being made or unmade", (t) => {
  const a = attachment("a", "oob", { mode: "access", vlan: 200 });
  const b = attachment("b", "oob", { mode: "access", vlan: 201 }, { state: "pending" });
  const compiled = compile(input({ intent: oob(), links: [nic0], attachments: [a, b] }));
  t.deepEqual(codes(compiled), ["Attachment/a CHECK_FAILED"]);
  t.deepEqual([...compiled.target.ports.keys()], ["oob-pp", "nic0"]);
  t.is(String(compiled.target.ports.get("nic0")?.config.allowed), "100");
});

test("without a VlanConfig here, a cluster network is the host's own: a bridge and ports, no uplink, no probes", (t) => {
  const a = attachment("a", "oob", { mode: "untagged" });
  const config = intent(["oob"], [], [network("n", "oob", 100, true)]);
  const { target, contexts } = compile(input({ intent: config, links: [workloadLink(5, a)], attachments: [a] }));
  t.deepEqual([...target.links.keys()], ["oob-br", "pwa"]);
  t.deepEqual([...target.ports.keys()], ["pwa"]);
  t.is(target.ports.get("pwa")?.config.pvid, 1);
  t.deepEqual(contexts.get("oob"), {
    clusterNetwork: "oob",
    switchId: 0,
    datapath: "ebpf",
    mtu: 1500,
    nativeVlan: 1,
    uplink: "",
  });
  t.deepEqual(target.conditions, []);
});

const refusals: readonly (readonly [string, Parameters<typeof input>[0], RegExp])[] = [
  ["NIC_ABSENT", { intent: oob(), links: [] }, /nic0/],
  [
    "NIC_HAS_MASTER",
    {
      intent: oob(),
      links: [{ ...nic0, master: 9, masterKind: "bridge" }, link({ ifindex: 9, name: "br9", kind: "bridge" })],
    },
    /nic0 belongs to bridge br9/,
  ],
  ["NIC_HAS_ADDRESS", { intent: oob(), links: [nic0], addresses: [address(2, "192.0.2.1")] }, /192\.0\.2\.1\/24/],
  ["NIC_HAS_ADDRESS", { intent: oob(), links: [nic0], addresses: [address(2, "2001:db8::1", 64)] }, /2001:db8::1/],
  ["MTU_TOO_LARGE", { intent: oob({ mtu: 9000 }), links: [{ ...nic0, maxMtu: 4000 }] }, /4000 at most, not 9000/],
  [
    "BONDING_UNSUPPORTED",
    { intent: oob({ nics: ["nic0", "nic1"] }), links: [nic0] },
    /2 NICs, and this kernel has no bonding/,
  ],
];
for (const [index, [code, given, message]] of refusals.entries()) {
  test(`${code} leaves the NIC alone and the rest of the cluster network goes on (${index})`, (t) => {
    const compiled = compile(input(given));
    t.deepEqual(codes(compiled), [`ClusterNetwork/oob ${code}`]);
    t.regex(compiled.target.conditions[0]?.message ?? "", message);
    t.false(compiled.target.links.has("nic0"));
    t.false(compiled.target.ports.has("nic0"));
    t.true(compiled.target.ports.has("oob-pp"));
    t.true(compiled.target.links.has("oob-br"));
    t.is(compiled.contexts.get("oob")?.uplink, "");
  });
}

test("an IPv6 link-local address does not keep a NIC from being taken, nor does another link's address", (t) => {
  const addresses = [address(2, "fe80::1", 64), address(3, "192.0.2.1")];
  t.deepEqual(codes(compile(input({ intent: oob(), links: [nic0], addresses }))), []);
});

test("an uplink in use stays when it gets an address, a master or an MTU that it cannot carry; the condition says so", (t) => {
  const start = { links: [{ ...nic0, maxMtu: 4000 }], ports: [], addresses: [] };
  const { target } = compile(input({ intent: oob(), ...start }));
  const now = simulate(diff(target, start), start);
  const links = now.links.map((l) => (l.name === "nic0" ? { ...l, master: 77, masterKind: "bridge" } : l));
  const compiled = compile(
    input({ intent: oob({ mtu: 9000 }), links, ports: now.ports, addresses: [address(2, "192.0.2.1")] }),
  );
  t.deepEqual(codes(compiled), [
    "ClusterNetwork/oob NIC_HAS_MASTER",
    "ClusterNetwork/oob NIC_HAS_ADDRESS",
    "ClusterNetwork/oob MTU_TOO_LARGE",
  ]);
  t.true(compiled.target.ports.has("nic0"));
  t.is(compiled.target.links.get("oob-br")?.mtu, 1500);
  t.deepEqual(diff(compiled.target, { ...now, links }).steps, []);
});

test("a foreign link under one of our names is left alone", (t) => {
  const bridge = link({ ifindex: 8, name: "oob-br", kind: "bridge" });
  const inner = link({ ifindex: 9, name: "oob-pi", kind: "veth" });
  const compiled = compile(input({ intent: oob(), links: [nic0, bridge, inner] }));
  t.deepEqual(codes(compiled), ["ClusterNetwork/oob NAME_TAKEN", "ClusterNetwork/oob NAME_TAKEN"]);
  t.deepEqual([...compiled.target.links.keys()], ["nic0"]);
  t.deepEqual([...compiled.target.ports.keys()], ["nic0"]);
});

test("a foreign link under a workload's name is not made a port", (t) => {
  const a = attachment("a", "oob", { mode: "access", vlan: 200 });
  const links = [nic0, link({ ifindex: 9, name: "pwa", kind: "veth" })];
  const compiled = compile(input({ intent: oob(), links, attachments: [a] }));
  t.deepEqual(codes(compiled), ["Attachment/a NAME_TAKEN"]);
  t.false(compiled.target.ports.has("pwa"));
});

test("a NIC is found by an alternative name, and two cluster networks cannot share it by two names", (t) => {
  const links = [{ ...nic0, altNames: ["enp1s0"] }];
  const two = intent(["a", "b"], [vlanConfig("a", ["nic0"]), vlanConfig("b", ["enp1s0"])]);
  const compiled = compile(input({ intent: two, links }));
  t.deepEqual(codes(compiled), ["ClusterNetwork/b NIC_SHARED"]);
  t.is(compiled.target.ports.get("nic0")?.clusterNetwork, "a");
});

test("workloads of a cluster network that is not defined any more keep a switch, without an uplink", (t) => {
  const a = attachment("a", "gone", { mode: "access", vlan: 5 });
  const compiled = compile(input({ intent: intent([]), links: [workloadLink(5, a)], attachments: [a] }));
  t.deepEqual(codes(compiled), ["ClusterNetwork/gone INTENT_REFERENCE"]);
  t.true(compiled.target.ports.has("pwa"));
});

test("switch ids are kept; new ones are the lowest free; the seventeenth switch is refused, its workloads' links kept", (t) => {
  const names = Array.from({ length: 17 }, (_, i) => `cn${i}`);
  const previous = new Map([
    ["cn16", 0],
    ["cn1", 5],
    ["gone", 1],
  ]);
  const a = attachment("a", "cn15", { mode: "access", vlan: 5 });
  const compiled = compile(
    input({ intent: intent(names), switchIds: previous, links: [workloadLink(5, a)], attachments: [a] }),
  );
  t.is(compiled.switchIds.get("cn16"), 0);
  t.is(compiled.switchIds.get("cn1"), 5);
  t.is(compiled.switchIds.get("cn0"), 1);
  t.is(new Set(compiled.switchIds.values()).size, 16);
  t.deepEqual(codes(compiled), ["ClusterNetwork/cn15 TOO_MANY_SWITCHES"]);
  t.is(compiled.target.links.get("pwa")?.kind, "workload");
  t.false(compiled.target.ports.has("pwa"));
  t.deepEqual(
    diff(compiled.target, { links: [workloadLink(5, a)], ports: [], addresses: [] }).steps.filter(
      (s) => s.op === "delete-link",
    ),
    [],
  );
});

test("an uplink keeps its port config object as observed: nothing is set twice", (t) => {
  const { target } = compile(input({ intent: oob(), links: [nic0] }));
  const port = target.ports.get("nic0");
  t.truthy(port);
  const steps = diff(target, { links: [nic0], ports: port ? [observedPort(2, port.config)] : [], addresses: [] }).steps;
  t.false(steps.some((s) => s.op === "set-port" && s.port.linkName === "nic0"));
});
