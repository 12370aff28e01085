/** ADD against a host made of plain data: answers, error codes, and nothing left behind by one that fails. */
import test from "ava";
import { IpamError } from "../../daemon/attach/ipam.ts";
import { host, ipamConf, nothingLeft } from "../support/attach-checks.ts";
import { type CniInput, ADD_STEPS, baseConf, cni, kernelError, vlanNetwork } from "../support/attach-fakes.ts";

test("the result names bridge, host side and container side, and addresses of the container's", async (t) => {
  const fake = host(t);
  const service = await fake.started();
  const { json } = await cni(service, { command: "ADD", conf: { ...ipamConf, dns: { domain: "example.org" } } });
  t.deepEqual(json, {
    cniVersion: "1.0.0",
    interfaces: [
      { name: "oob-br", mac: "02:00:00:00:00:0b" },
      { name: "pw10", mac: "02:00:00:00:00:01", mtu: 1500 },
      { name: "eth0", mac: "02:00:00:00:00:02", mtu: 1500, sandbox: "/ns/a" },
    ],
    ips: [{ address: "10.9.0.2/24", gateway: "10.9.0.1", interface: 2 }],
    routes: [{ dst: "0.0.0.0/0" }],
    dns: { domain: "example.org" },
  });
});

test("a layer 2 ADD asks no IPAM, and does not enter the container", async (t) => {
  const fake = host(t);
  let entered = 0;
  fake.onStep = (step) => {
    if (step === "enter") entered++;
  };
  const service = await fake.started();
  for (const ipam of [undefined, {}]) {
    const added = await cni(service, { command: "ADD", conf: { ...baseConf, ipam } });
    t.deepEqual(added.json.ips, undefined);
    t.is((await cni(service, { command: "DEL", conf: { ...baseConf, ipam } })).exitCode, 0);
  }
  t.deepEqual(fake.ipamCalls, []);
  t.is(entered, 0);
  await cni(service, { command: "ADD", conf: { ...baseConf, ipam: { type: "static" } } });
  t.is(entered, 1, "one that sets addresses does, once");
  await cni(service, { command: "DEL", conf: { ...baseConf, ipam: { type: "static" } } });
  nothingLeft(t, fake, service);
});

test("the port gets what the configuration asks for", async (t) => {
  const fake = host(t);
  fake.networks.set("vlan100", vlanNetwork("vlan100", 100));
  const service = await fake.started();
  const conf = {
    cniVersion: "1.0.0",
    name: "net",
    network: "vlan100",
    mtu: 1400,
    runtimeConfig: { mac: "02:00:00:00:00:99" },
  };
  await cni(service, { command: "ADD", conf });
  const { request } = fake.ports.get("c1/eth0") ?? t.fail() ?? ({} as never);
  t.like(request, {
    containerId: "c1",
    interface: "eth0",
    netnsPath: "/ns/a",
    clusterNetwork: "oob",
    network: "vlan100",
    mac: "02:00:00:00:00:99",
    mtu: 1400,
    fdbLimit: 7,
  });
  t.deepEqual(request.vlans, { mode: "access", vlan: 100 });
  t.like(service.list()[0], { id: "c1/eth0", state: "ready", hostIfindex: 10, mac: "02:00:00:00:00:99", mtu: 1400 });
});

test("addresses, routes and announcements reach the container, IPv6 too", async (t) => {
  const fake = host(t);
  const service = await fake.started();
  fake.ipamResult = {
    ips: [
      { address: "10.9.0.2/24", gateway: "10.9.0.1" },
      { address: "fd00::2/64", gateway: "fd00::1" },
      { address: "10.8.0.2/24" },
    ],
    routes: [
      { dst: "0.0.0.0/0" },
      { dst: "::/0" },
      { dst: "10.7.0.0/16", gw: "10.8.0.1", priority: 3 },
      { dst: "0.0.0.0/0", gw: "10.8.0.1" },
    ],
    dns: {},
  };
  const added = await cni(service, { command: "ADD", conf: ipamConf });
  t.is(added.exitCode, 0, added.stdout);
  const netns = fake.namespaces.get("/ns/a") ?? t.fail();
  t.deepEqual(
    netns.addresses.map((a) => [a.address, a.prefixLength, a.flags]),
    [
      ["10.9.0.2", 24, 0],
      ["fd00::2", 64, 2],
      ["10.8.0.2", 24, 0],
    ],
  );
  t.deepEqual(netns.routes, [
    { destination: "0.0.0.0", prefixLength: 0, gateway: "10.9.0.1", ifindex: 11 },
    { destination: "::", prefixLength: 0, gateway: "fd00::1", ifindex: 11 },
    { destination: "10.7.0.0", prefixLength: 16, gateway: "10.8.0.1", ifindex: 11, metric: 3 },
  ]);
  t.is(netns.sysctls.get("net/ipv6/conf/eth0/disable_ipv6"), "0");
  t.is(netns.frames.length, 3);
  t.deepEqual([fake.openHandles, fake.openNamespaces], [0, 0]);
});

test("an announcement that fails is no failure of ADD", async (t) => {
  const fake = host(t);
  const service = await fake.started();
  fake.onStep = (step) => {
    if (step === "announce") throw kernelError("EPERM", 1, "socket");
  };
  t.is((await cni(service, { command: "ADD", conf: ipamConf })).exitCode, 0);
  t.is(fake.log.filter((line) => line.level === "warn").length, 1);
});

test("each refusal of ADD has its code, and nothing is half-made", async (t) => {
  const fake = host(t);
  fake.addNetns("/ns/own", true);
  const service = await fake.started();
  const cases: readonly [number, string, Omit<CniInput, "command">][] = [
    [1, "cniVersion", { conf: { ...baseConf, cniVersion: "2.0.0" } }],
    [7, "device.kind inner-tap", { conf: { ...baseConf, managedTap: true, ipam: { type: "static" } } }],
    [7, "isGateway", { conf: { ...baseConf, vlan: 0, vlanTrunk: [{ id: 9 }], isGateway: true } }],
    [4, "CNI_CONTAINERID", { env: { CNI_CONTAINERID: "" } }],
    [4, "CNI_IFNAME", { ifname: "sixteen-bytes-ab" }],
    [4, "/ns/none", { netns: "/ns/none" }],
    [4, "not absolute", { netns: "ns/a" }],
    [4, "CNI_ARGS", { env: { CNI_ARGS: "X=1" } }],
    [6, "not JSON", { conf: "{" }],
    [6, "not a JSON object", { conf: "[]" }],
    [7, "vlan", { conf: { ...baseConf, vlan: 4095 } }],
    [7, "nope", { conf: { ...baseConf, network: "nope" } }],
    [8, "host's own", { netns: "/ns/own" }],
    [100, "no cluster network other", { conf: { ...baseConf, bridge: "other-br" } }],
  ];
  for (const [code, words, input] of cases) {
    const reply = await cni(service, { command: "ADD", ...input });
    t.is(reply.exitCode, 1, words);
    t.is(reply.json.code, code, reply.stdout);
    t.true(reply.json.msg.includes(words), reply.json.msg);
    t.is(typeof reply.json.cniVersion, "string");
    nothingLeft(t, fake, service, words);
  }
});

test("CNI_NETNS_OVERRIDE lets the host's own namespace through; the managed one counts as the host's", async (t) => {
  const fake = host(t);
  const own = fake.addNetns("/ns/own", true);
  const managed = fake.addNetns("/ns/managed");
  const service = await fake.started({
    host: { handle: { device: 4n, inode: managed.inode }, link: async () => null },
  });
  t.is((await cni(service, { command: "ADD", netns: "/ns/managed" })).json.code, 8);
  t.is((await cni(service, { command: "ADD", netns: "/ns/own", env: { CNI_NETNS_OVERRIDE: "True" } })).exitCode, 0);
  t.is(own.links.length, 1);
});

test("a second ADD is refused and leaves the first alone", async (t) => {
  const fake = host(t);
  const service = await fake.started();
  await cni(service, { command: "ADD", conf: ipamConf });
  const again = await cni(service, { command: "ADD", conf: ipamConf });
  t.is(again.json.code, 101);
  t.is(fake.ports.size, 1);
  t.is(fake.leases.size, 1);
  t.is(fake.namespaces.get("/ns/a")?.addresses.length, 1);
});

test("an interface name that is taken is refused, and what IPAM gave meanwhile goes back", async (t) => {
  const fake = host(t);
  fake.namespaces
    .get("/ns/a")
    ?.links.push({ ifindex: 5, name: "eth0", mac: "02:00:00:00:00:05", kind: "veth", up: true });
  const service = await fake.started();
  t.is((await cni(service, { command: "ADD", conf: ipamConf })).json.code, 101);
  t.is(fake.leases.size, 0);
  t.is(fake.namespaces.get("/ns/a")?.links.length, 1);
});

test("an IPAM plugin that may need the interface is asked when it is there", async (t) => {
  const fake = host(t);
  const service = await fake.started();
  const ported: number[] = [];
  fake.onStep = (now) => {
    if (now === "ipam-add") ported.push(fake.ports.size);
  };
  t.is((await cni(service, { command: "ADD", conf: { ...baseConf, ipam: { type: "dhcp" } } })).exitCode, 0);
  t.deepEqual(ported, [1]);
});

for (const step of ADD_STEPS) {
  test(`a failure at ${step} leaves nothing behind and is what the runtime hears`, async (t) => {
    const fake = host(t);
    const service = await fake.started();
    fake.onStep = (now) => {
      if (now === step) throw kernelError("ENOSPC", 28, `failure at ${now}`);
    };
    const reply = await cni(service, { command: "ADD", conf: ipamConf });
    t.is(reply.exitCode, 1);
    t.is(reply.json.msg, `failure at ${step}: ENOSPC`);
    nothingLeft(t, fake, service);
    fake.onStep = () => {};
    t.is((await fake.started()).list().length, 0);
    t.is((await cni(service, { command: "ADD", conf: ipamConf })).exitCode, 0);
  });
}

test("a failure while undoing does not hide the first error, and is made good later", async (t) => {
  const fake = host(t);
  const service = await fake.started();
  fake.onStep = (step) => {
    if (step === "route" || step === "unmake") throw kernelError("EIO", 5, step);
  };
  const reply = await cni(service, { command: "ADD", conf: ipamConf });
  t.is(reply.json.msg, "route: EIO");
  t.is(service.list()[0]?.state, "pending");
  t.is(fake.leases.size, 0);
  fake.onStep = () => {};
  t.is((await cni(service, { command: "ADD", conf: ipamConf })).exitCode, 0, "what was left goes first");
  t.is(fake.ports.size, 1);
});

test("an IPAM plugin's own code, words and stderr reach the runtime", async (t) => {
  const fake = host(t);
  fake.onStep = (step) => {
    if (step === "ipam-add") throw new IpamError(123, "no addresses left", "range 10.0.0.0/30");
  };
  const service = await fake.started();
  const reply = await cni(service, { command: "ADD", conf: ipamConf });
  t.deepEqual(reply.json, { cniVersion: "1.0.0", code: 123, msg: "no addresses left", details: "range 10.0.0.0/30" });
  t.deepEqual(fake.ipamCalls, ["ADD host-local", "DEL host-local"]);
  nothingLeft(t, fake, service);
});
