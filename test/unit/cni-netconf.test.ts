/** The network configuration, CNI_* variables and CNI_ARGS: what is accepted, and each refusal with its code and place. */
import test from "ava";
import { parseArgs, parseEnvironment } from "../../daemon/attach/environment.ts";
import { decodeNetConf, looseNetConf, parseNetConf } from "../../daemon/attach/netconf.ts";
import { NO_FEATURES } from "../../daemon/model/attachment.ts";
import { PortwrightError } from "../../daemon/errors.ts";
import { baseConf, vlanNetwork } from "../support/attach-fakes.ts";

const networks = new Map([["vlan100", vlanNetwork("vlan100", 100)]]);
const parse = (extra: object, args = "") =>
  parseNetConf(decodeNetConf(JSON.stringify({ ...baseConf, ...extra })), args, { networks });

function code(t: { throws: (fn: () => unknown, e: object) => Error | undefined }, fn: () => unknown): string {
  const error = t.throws(fn, { instanceOf: PortwrightError }) as PortwrightError | undefined;
  return `${error?.cniCode} ${error?.message}`;
}

test("VLAN options become the port's VLANs", (t) => {
  t.deepEqual(parse({}).port.vlans, { mode: "access", vlan: 100 });
  t.deepEqual(parse({ vlan: 0 }).port.vlans, { mode: "untagged" });
  t.deepEqual(parse({ vlan: null }).port.vlans, { mode: "untagged" });
  const trunk = parse({ vlan: 5, vlanTrunk: [{ id: 7 }, { minID: 100, maxID: 102 }] }).port.vlans;
  t.is(trunk.mode === "trunk" && `${trunk.tagged} ${trunk.native}`, "7,100-102 5");
  t.deepEqual(parse({ vlan: 3, vlanTrunk: [] }).port.vlans, { mode: "access", vlan: 3 });
});

test("bad VLANs are refused by name", (t) => {
  t.is(
    code(t, () => parse({ vlan: 4095 })),
    "7 vlan must be a whole number 0-4094, not 4095",
  );
  t.is(
    code(t, () => parse({ vlan: -1 })),
    "7 vlan must be a whole number 0-4094, not -1",
  );
  t.is(
    code(t, () => parse({ vlan: 1.5 })),
    "7 vlan must be a whole number 0-4094, not 1.5",
  );
  t.is(
    code(t, () => parse({ vlan: "abc" })),
    '7 vlan must be a whole number 0-4094, not "abc"',
  );
  t.is(
    code(t, () => parse({ vlanTrunk: {} })),
    "7 vlanTrunk must be a list, not {}",
  );
  t.is(
    code(t, () => parse({ vlanTrunk: [{}] })),
    "7 vlanTrunk[0].id is missing, and so are minID and maxID",
  );
  t.is(
    code(t, () => parse({ vlanTrunk: [{ id: 0 }] })),
    "7 vlanTrunk[0].id must be a whole number 1-4094, not 0",
  );
  t.is(
    code(t, () => parse({ vlanTrunk: [{ id: 1 }, { minID: 5 }] })),
    "7 vlanTrunk[1].maxID is missing beside minID",
  );
  t.is(
    code(t, () => parse({ vlanTrunk: [{ maxID: 5 }] })),
    "7 vlanTrunk[0].minID is missing beside maxID",
  );
  t.is(
    code(t, () => parse({ vlanTrunk: [{ minID: 9, maxID: 5 }] })),
    "7 vlanTrunk[0].minID must not exceed maxID 5, not 9",
  );
  t.is(
    code(t, () => parse({ vlanTrunk: [{ id: 9, minID: 5, maxID: 6 }] })),
    "7 vlanTrunk[0].id cannot stand beside minID and maxID",
  );
});

test("options reach the port, and what nobody knows is passed over", (t) => {
  t.is(parse({ promiscMode: true }).notes.length, 1);
  t.is(parse({ portIsolation: true }).port.isolated, true);
  t.like(parse({}).port, { hairpin: false, spoofCheck: false, gated: false });
  t.like(parse({ hairpinMode: true, macspoofchk: true }).port, { hairpin: true, spoofCheck: true, gated: false });
  t.true(parse({ gated: true }).port.gated);
  t.notThrows(() => parse({ somethingElse: true, capabilities: { mac: true } }));
});

test("the MAC comes from runtimeConfig, then args.cni, then CNI_ARGS", (t) => {
  const r = { runtimeConfig: { mac: "02:00:00:00:00:0A" } };
  const a = { args: { cni: { mac: "02-00-00-00-00-0b" } } };
  const e = "IgnoreUnknown=1;MAC=02:00:00:00:00:0c";
  t.is(parse({ ...r, ...a }, e).port.mac, "02:00:00:00:00:0a");
  t.is(parse(a, e).port.mac, "02:00:00:00:00:0b");
  t.is(parse({}, e).port.mac, "02:00:00:00:00:0c");
  t.is(parse({}).port.mac, "");
  for (const mac of [
    "01:00:00:00:00:01",
    "00:00:00:00:00:00",
    "02:00:00:00:00",
    "02:00:00:00:00:0g",
    "ff:ff:ff:ff:ff:ff",
  ])
    t.is(
      code(t, () => parse({ runtimeConfig: { mac } })),
      `7 mac must be the MAC address of a station, not "${mac}"`,
    );
});

test("the bridge names the cluster network, a Network of the intent names all", (t) => {
  t.is(parse({}).port.clusterNetwork, "oob");
  t.is(parse({}).port.network, "net");
  const named = parse({ bridge: undefined, vlan: undefined, network: "vlan100", mtu: 1400 }).port;
  t.deepEqual(named, {
    ...NO_FEATURES,
    clusterNetwork: "oob",
    network: "vlan100",
    vlans: { mode: "access", vlan: 100 },
    fdbLimit: 7,
    mac: "",
    mtu: 1400,
  });
  t.like(parse({ bridge: undefined }).port, { clusterNetwork: "", localBridge: { name: "cni0", promiscuous: false } });
  const own = parse({ bridge: "br0", promiscMode: true });
  t.deepEqual(own.port.localBridge, { name: "br0", promiscuous: true });
  t.deepEqual(own.notes, [], "where it has an effect there is nothing to note");
  t.regex(
    code(t, () => parse({ bridge: "a-name-of-16-char" })),
    /^7 bridge has 17 bytes/,
  );
  t.is(
    code(t, () => parse({ bridge: "-br" })),
    '100 "-br" is not a bridge of ours',
  );
  t.is(
    code(t, () => parse({ network: "nope" })),
    '7 network "nope" is not defined',
  );
  t.is(
    code(t, () => parse({ network: "vlan100" })),
    "7 vlan contradicts network: the VLANs are those of vlan100",
  );
  t.is(
    code(t, () => parse({ network: "vlan100", vlan: undefined, bridge: "x-br" })),
    "7 bridge contradicts network: vlan100 belongs to oob-br",
  );
});

test("name, MTU and IPAM are checked", (t) => {
  t.is(
    code(t, () => parse({ name: "" })),
    '7 name must start with a letter or digit, then letters, digits, _ . -, not ""',
  );
  t.is(
    code(t, () => parse({ name: "a b" })),
    '7 name must start with a letter or digit, then letters, digits, _ . -, not "a b"',
  );
  t.is(
    code(t, () => parse({ mtu: 67 })),
    "7 mtu must be 0 or 68-65535, not 67",
  );
  t.is(
    code(t, () => parse({ mtu: 65536 })),
    "7 mtu must be a whole number 0-65535, not 65536",
  );
  t.is(
    code(t, () => parse({ ipam: { type: "../../bin/sh" } })),
    '7 ipam.type must be the name of a plugin, not "../../bin/sh"',
  );
  t.is(
    code(t, () => parse({ ipam: { subnet: "10.0.0.0/8" } })),
    "7 ipam.type is missing",
  );
  t.is(parse({ ipam: {} }).ipamType, "");
  t.is(parse({ ipam: { type: "host-local" } }).ipamType, "host-local");
  t.is(
    code(t, () => parse({ cniVersion: "9.9.9" })),
    '1 cniVersion "9.9.9" is not supported',
  );
});

test("text that is not a configuration is a decoding error", (t) => {
  for (const text of ["", "null", "[]", "{", '"x"', "{}{}"])
    t.regex(
      code(t, () => decodeNetConf(text)),
      /^6 the network configuration is not/,
    );
  t.is(
    code(t, () => decodeNetConf('{"__proto__":{"a":1}}')),
    '6 the network configuration has a key named "__proto__"',
  );
  t.is(
    code(t, () => decodeNetConf('{"a":[{"constructor":1}]}')),
    '6 the network configuration has a key named "constructor"',
  );
  t.is(
    code(t, () => decodeNetConf(`{"a":${"[".repeat(40)}${"]".repeat(40)}}`)),
    "6 the network configuration is nested deeper than 32 levels",
  );
});

test("DEL takes what is there and refuses nothing", (t) => {
  t.deepEqual(looseNetConf(decodeNetConf('{"name":5,"vlan":"x","ipam":7}')), { name: "", ipamType: "" });
  t.deepEqual(looseNetConf(decodeNetConf('{"name":"n","vlan":99999,"ipam":{"type":"static"}}')), {
    name: "n",
    ipamType: "static",
  });
});

const env = {
  CNI_COMMAND: "ADD",
  CNI_CONTAINERID: "c1",
  CNI_NETNS: "/ns/a",
  CNI_IFNAME: "eth0",
  CNI_PATH: "/usr/lib/cni",
};

test("variables that are needed and missing are all named", (t) => {
  t.is(
    code(t, () => parseEnvironment({ CNI_COMMAND: "ADD" })),
    "4 CNI_CONTAINERID, CNI_NETNS, CNI_IFNAME, CNI_PATH are missing",
  );
  t.is(
    code(t, () => parseEnvironment({ ...env, CNI_NETNS: "" })),
    "4 CNI_NETNS is missing",
  );
  t.like(parseEnvironment({ ...env, CNI_COMMAND: "DEL", CNI_NETNS: "" }), { netns: "" });
  for (const command of ["GC", "STATUS"]) {
    t.deepEqual(parseEnvironment({ CNI_COMMAND: command, CNI_PATH: "/x" }), { command });
    t.is(
      code(t, () => parseEnvironment({ CNI_COMMAND: command })),
      "4 CNI_PATH is missing",
    );
  }
  t.regex(
    code(t, () => parseEnvironment({ ...env, CNI_COMMAND: "PING" })),
    /^4 CNI_COMMAND "PING" is not known/,
  );
  t.regex(
    code(t, () => parseEnvironment({})),
    /^4 CNI_COMMAND "" is not known/,
  );
});

test("identifiers and interface names follow the spec's patterns", (t) => {
  for (const id of ["-a", ".a", "a b", "a/b", "ä", "a\n"])
    t.regex(
      code(t, () => parseEnvironment({ ...env, CNI_CONTAINERID: id })),
      /^4 CNI_CONTAINERID/,
    );
  for (const id of ["a", "0", "A_b.c-d", "a".repeat(200)])
    t.notThrows(() => parseEnvironment({ ...env, CNI_CONTAINERID: id }));
  for (const name of [
    "sixteen-bytes-ab",
    ".",
    "..",
    "a/b",
    "a:b",
    "a b",
    "a\t",
    "äääääääää",
    "a\u00a0b",
    "a\0",
    "eth%d",
    "%",
  ])
    t.regex(
      code(t, () => parseEnvironment({ ...env, CNI_IFNAME: name })),
      /^4 CNI_IFNAME/,
    );
  for (const name of ["eth0", "fifteen-bytes-a", "a.b", "...", "ä"])
    t.notThrows(() => parseEnvironment({ ...env, CNI_IFNAME: name }), name);
});

test("CNI_NETNS_OVERRIDE is 1 or true in any case", (t) => {
  for (const value of ["1", "true", "TRUE", "True"])
    t.like(parseEnvironment({ ...env, CNI_NETNS_OVERRIDE: value }), { allowOwnNetns: true });
  for (const value of ["", "0", "yes", "11", "false"])
    t.like(parseEnvironment({ ...env, CNI_NETNS_OVERRIDE: value }), { allowOwnNetns: false });
});

test("CNI_ARGS refuses unknown keys unless IgnoreUnknown says otherwise", (t) => {
  t.deepEqual(parseArgs(""), { mac: "" });
  t.deepEqual(parseArgs("MAC=02:00:00:00:00:01"), { mac: "02:00:00:00:00:01" });
  t.deepEqual(parseArgs("K8S_POD_NAME=a=b;IgnoreUnknown=1"), { mac: "" });
  t.deepEqual(parseArgs("IgnoreUnknown=true;X=1"), { mac: "" });
  t.is(
    code(t, () => parseArgs("X=1;Y=2")),
    '4 CNI_ARGS has the unknown "X", "Y", and IgnoreUnknown=1 is not set',
  );
  t.is(
    code(t, () => parseArgs("X=1;IgnoreUnknown=0")),
    '4 CNI_ARGS has the unknown "X", and IgnoreUnknown=1 is not set',
  );
  t.is(
    code(t, () => parseArgs("IgnoreUnknown=maybe")),
    '4 IgnoreUnknown in CNI_ARGS must be 1 or 0, not "maybe"',
  );
  t.is(
    code(t, () => parseArgs("nonsense")),
    '4 CNI_ARGS has "nonsense" where KEY=VALUE is expected',
  );
});
