/** ADD, DEL and CHECK against a host made of plain data: answers, error codes, idempotence, and nothing left behind. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import test, { type ExecutionContext } from "ava";
import { cniVersions } from "../../daemon/attach/version.ts";
import { IpamError } from "../../daemon/attach/ipam.ts";
import {
  baseConf,
  cni,
  type CniInput,
  cniRequest,
  FakeHost,
  kernelError,
  vlanNetwork,
} from "../support/attach-fakes.ts";

function host(t: ExecutionContext): FakeHost {
  const fake = new FakeHost();
  t.teardown(() => fake.dispose());
  fake.addNetns("/ns/a");
  return fake;
}

function nothingLeft(t: ExecutionContext, fake: FakeHost, service: { list(): readonly unknown[] }, what = ""): void {
  t.deepEqual([...fake.ports.keys()], [], what);
  t.deepEqual([...fake.leases.keys()], [], what);
  t.deepEqual(service.list(), [], what);
  for (const netns of fake.namespaces.values())
    t.deepEqual([netns.links, netns.addresses, netns.routes], [[], [], []], what);
  t.deepEqual([fake.openHandles, fake.openNamespaces, fake.openSockets], [0, 0, 0], what);
}

const ipamConf = { ...baseConf, ipam: { type: "host-local" } };

test("ADD, CHECK and DEL work in every version", async (t) => {
  for (const cniVersion of cniVersions) {
    const fake = host(t);
    const service = await fake.started();
    const conf = { ...ipamConf, cniVersion };
    const added = await cni(service, { command: "ADD", conf });
    t.is(added.exitCode, 0, added.stdout);
    t.is(added.json.cniVersion, cniVersion);
    const checked = await cni(service, { command: "CHECK", conf: { ...conf, prevResult: added.json } });
    if (cniVersion < "0.4.0") t.deepEqual([checked.exitCode, checked.json.code], [1, 1]);
    else t.deepEqual([checked.exitCode, checked.stdout], [0, ""], checked.stdout);
    const deleted = await cni(service, { command: "DEL", conf });
    t.deepEqual(deleted, { exitCode: 0, stdout: "", stderr: "", json: {} });
    nothingLeft(t, fake, service, cniVersion);
  }
});

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

test("a layer 2 ADD asks no IPAM, and enters the container once", async (t) => {
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
  t.is(entered, 2, "for two ADDs");
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
  t.deepEqual([fake.openHandles, fake.openNamespaces, fake.openSockets], [0, 0, 0]);
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
    [2, "isGateway", { conf: { ...baseConf, isGateway: true } }],
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

test("an interface name that is taken is refused and IPAM not asked", async (t) => {
  const fake = host(t);
  fake.namespaces
    .get("/ns/a")
    ?.links.push({ ifindex: 5, name: "eth0", mac: "02:00:00:00:00:05", kind: "veth", up: true });
  const service = await fake.started();
  t.is((await cni(service, { command: "ADD", conf: ipamConf })).json.code, 101);
  t.deepEqual(fake.ipamCalls, []);
  t.is(fake.namespaces.get("/ns/a")?.links.length, 1);
});

for (const step of [
  "write-pending",
  "make",
  "enter",
  "ipam-add",
  "ipam-added",
  "address",
  "route",
  "write-ready",
  "written-ready",
]) {
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

test("DEL works without a namespace, with an invalid configuration, and twice", async (t) => {
  const fake = host(t);
  const service = await fake.started();
  await cni(service, { command: "ADD", conf: ipamConf });
  fake.namespaces.delete("/ns/a");
  const invalid = { ...ipamConf, vlan: 99999, mtu: "x", bridge: 7, cniVersion: "77" };
  const del: CniInput = { command: "DEL", conf: invalid, env: { CNI_NETNS: "", CNI_ARGS: "garbage" } };
  t.is((await cni(service, del)).exitCode, 0);
  nothingLeft(t, fake, service);
  t.is((await cni(service, del)).exitCode, 0);
  t.deepEqual(fake.ipamCalls, ["ADD host-local", "DEL host-local", "DEL host-local"]);
});

test("DEL with text that is not JSON goes by the record; without one it is a decoding error", async (t) => {
  const fake = host(t);
  const service = await fake.started();
  await cni(service, { command: "ADD", conf: ipamConf });
  t.is((await cni(service, { command: "DEL", conf: "{" })).exitCode, 0);
  nothingLeft(t, fake, service);
  t.is((await cni(service, { command: "DEL", conf: "{" })).json.code, 6);
});

test("DEL never touches another container's interface, nor another network's", async (t) => {
  const fake = host(t);
  fake.addNetns("/ns/b");
  const service = await fake.started();
  await cni(service, { command: "ADD", conf: ipamConf });
  t.is((await cni(service, { command: "DEL", conf: ipamConf, containerId: "c2" })).exitCode, 0);
  t.is((await cni(service, { command: "DEL", conf: { ...ipamConf, name: "other" } })).exitCode, 0);
  t.is((await cni(service, { command: "DEL", conf: ipamConf, ifname: "eth1" })).exitCode, 0);
  t.is(fake.ports.size, 1);
  t.is(fake.leases.size, 1);
  t.is(service.list()[0]?.state, "ready");
});

test("DEL reports success when only IPAM fails, and the address is given back later", async (t) => {
  const fake = host(t);
  const service = await fake.started();
  await cni(service, { command: "ADD", conf: ipamConf });
  fake.onStep = (step) => {
    if (step === "ipam-del") throw new Error("IPAM is ill");
  };
  t.is((await cni(service, { command: "DEL", conf: ipamConf })).exitCode, 0);
  t.is(fake.ports.size, 0);
  t.is(service.list()[0]?.state, "pending");
  t.is((await cni(service, { command: "ADD", conf: ipamConf })).json.code, 11, "not while the old address is held");
  fake.onStep = () => {};
  nothingLeft(t, fake, await fake.started());
});

test("DEL without a record tells the runtime when IPAM fails: nobody else would remember", async (t) => {
  const fake = host(t);
  const service = await fake.started();
  fake.onStep = (step) => {
    if (step === "ipam-del") throw new IpamError(5, "disk", "");
  };
  t.is((await cni(service, { command: "DEL", conf: ipamConf })).json.code, 5);
});

test("DEL keeps the address while the interface could not be removed", async (t) => {
  const fake = host(t);
  const service = await fake.started();
  await cni(service, { command: "ADD", conf: ipamConf });
  fake.onStep = (step) => {
    if (step === "unmake") throw kernelError("EBUSY", 16, "pw10");
  };
  const reply = await cni(service, { command: "DEL", conf: ipamConf });
  t.is(reply.json.msg, "pw10: EBUSY");
  t.is(fake.leases.size, 1);
  fake.onStep = () => {};
  t.is((await cni(service, { command: "DEL", conf: ipamConf })).exitCode, 0);
  nothingLeft(t, fake, service);
});

test("DEL goes on when the disk is full", async (t) => {
  const fake = host(t);
  const service = await fake.started();
  await cni(service, { command: "ADD", conf: ipamConf });
  fake.onStep = (step) => {
    if (step.startsWith("write")) throw kernelError("ENOSPC", 28, "disk");
  };
  t.is((await cni(service, { command: "DEL", conf: ipamConf })).exitCode, 0);
  nothingLeft(t, fake, service);
});

test("CHECK names every difference and tolerates what later plugins do", async (t) => {
  const fake = host(t);
  const service = await fake.started();
  const { json: prevResult } = await cni(service, { command: "ADD", conf: ipamConf });
  const conf = { ...ipamConf, prevResult };
  const check = async (changed: object = conf) => (await cni(service, { command: "CHECK", conf: changed })).json;
  const netns = fake.namespaces.get("/ns/a") ?? t.fail();
  const link = netns.links[0] ?? t.fail();

  // KubeVirt: renamed, another MAC, address moved to a dummy of the old name; and more interfaces than before
  Object.assign(link, { name: "abc-nic", mac: "02:00:00:00:00:77" });
  netns.links.push({ ifindex: 90, name: "eth0", mac: "02:00:00:00:00:78", kind: "dummy", up: false });
  const moved = netns.addresses.splice(0, 1, { ...(netns.addresses[0] as object), ifindex: 90 } as never);
  t.deepEqual(await check(), {});
  Object.assign(link, { name: "eth0", mac: "02:00:00:00:00:02" });
  netns.links.pop();
  netns.addresses.splice(0, 1, ...moved);
  t.deepEqual(await check(), {});

  link.up = false;
  t.like(await check(), { code: 102, msg: "c1/eth0: eth0 in the container is down" });
  link.up = true;
  const [address] = netns.addresses.splice(0, 1);
  t.like(await check(), { code: 102, msg: "c1/eth0: eth0 in the container lacks the address 10.9.0.2/24" });
  netns.addresses.push(address as never);
  const [route] = netns.routes.splice(0, 1);
  t.like(await check(), { code: 102, msg: "c1/eth0: the container lacks the route to 0.0.0.0/0" });
  netns.routes.push(route as never);
  fake.verifyResult.push("the port has PVID 7, not 100");
  t.like(await check(), { code: 102, msg: "c1/eth0: the port has PVID 7, not 100" });
  fake.verifyResult.pop();
  t.like(await check({ ...conf, vlan: 200 }), { code: 102, msg: "c1/eth0: it has VLAN 100, not VLAN 200" });
  t.like(await check({ ...conf, prevResult: { ...prevResult, interfaces: [] } }), {
    code: 102,
    msg: "c1/eth0: prevResult has no interface eth0 in /ns/a",
  });
  t.like(await check({ ...conf, prevResult: undefined }), {
    code: 7,
    msg: "prevResult is missing, and CHECK needs it",
  });
  netns.links.pop();
  t.like(await check(), { code: 102 });
  t.like((await cni(service, { command: "CHECK", conf, containerId: "c9" })).json, { code: 3 });
  t.deepEqual([fake.openHandles, fake.openNamespaces], [0, 0]);
});

test("CHECK asks IPAM, too, and sees a namespace that is another one by now", async (t) => {
  const fake = host(t);
  const service = await fake.started();
  const { json: prevResult } = await cni(service, { command: "ADD", conf: ipamConf });
  const conf = { ...ipamConf, prevResult };
  t.is((await cni(service, { command: "CHECK", conf })).exitCode, 0);
  t.is(fake.ipamCalls.at(-1), "CHECK host-local");
  fake.onStep = (step) => {
    if (step === "ipam-check") throw new IpamError(9, "no such lease", "");
  };
  t.is((await cni(service, { command: "CHECK", conf })).json.code, 9);
  fake.onStep = () => {};
  fake.addNetns("/ns/a");
  t.regex(
    (await cni(service, { command: "CHECK", conf })).json.msg,
    /is not the namespace that c1\/eth0 was attached in/,
  );
});

test("requests for one container wait for each other, others do not", async (t) => {
  const fake = host(t);
  const service = await fake.started();
  let release = () => {};
  const gate = new Promise<void>((resolve) => {
    release = resolve;
  });
  let held = false;
  fake.onStep = (step) => {
    if (step !== "make" || held) return;
    held = true;
    return gate;
  };
  const first = cni(service, { command: "ADD" });
  const second = cni(service, { command: "DEL" });
  fake.addNetns("/ns/b");
  t.is((await cni(service, { command: "ADD", containerId: "c2", netns: "/ns/b" })).exitCode, 0);
  t.is(fake.ports.size, 1);
  release();
  t.is((await first).exitCode, 0);
  t.is((await second).exitCode, 0);
  t.deepEqual([...fake.ports.keys()], ["c2/eth0"]);
});

test("too many at once are told to come again, deletions never", async (t) => {
  const fake = host(t);
  const service = await fake.started({ maxQueued: 1 });
  let release = () => {};
  fake.onStep = (step) => (step === "make" ? new Promise<void>((resolve) => (release = resolve)) : undefined);
  const first = cni(service, { command: "ADD" });
  t.like((await cni(service, { command: "ADD", containerId: "c2" })).json, { code: 11 });
  t.is((await cni(service, { command: "DEL", containerId: "c3" })).exitCode, 0);
  release();
  t.is((await first).exitCode, 0);
});

test("nothing is attached before the queue of deletions is done", async (t) => {
  const fake = host(t);
  const before = await fake.started();
  await cni(before, { command: "ADD", conf: ipamConf });
  const queue = join(fake.stateDir, "deletes");
  writeFileSync(
    join(queue, "000000000001.000000000-1.json"),
    JSON.stringify(cniRequest({ command: "DEL", conf: ipamConf })),
  );
  writeFileSync(join(queue, "000000000000.000000000-1.json"), "garbage");
  writeFileSync(
    join(queue, "000000000002.000000000-1.json"),
    JSON.stringify(cniRequest({ command: "ADD", conf: ipamConf, containerId: "evil" })),
  );
  writeFileSync(join(queue, ".half.json.tmp"), "{");
  const service = fake.service();
  const add = cni(service, { command: "ADD", conf: ipamConf });
  await service.recover();
  const reply = await add;
  t.is(reply.exitCode, 0, reply.stdout);
  t.deepEqual(fake.ipamCalls, ["ADD host-local", "DEL host-local", "ADD host-local"]);
  t.is(fake.log.filter((line) => line.message.includes("set aside")).length, 2);

  writeFileSync(
    join(queue, "000000000003.000000000-1.json"),
    JSON.stringify(cniRequest({ command: "DEL", conf: ipamConf })),
  );
  t.is((await cni(service, { command: "ADD", conf: ipamConf })).exitCode, 0, "also one that came while we run");
  service.close();
});

test("commands and outcomes are reported for the metrics", async (t) => {
  const fake = host(t);
  const seen: string[] = [];
  const service = await fake.started({ onCniRequest: (command, result) => seen.push(`${command} ${result}`) });
  await cni(service, { command: "ADD" });
  await cni(service, { command: "ADD" });
  await cni(service, { command: "../../x" });
  await cni(service, { command: "DEL" });
  t.deepEqual(seen, ["ADD success", "ADD error", "other error", "DEL success"]);
  t.deepEqual(fake.events, ["attached c1/eth0", "detached c1/eth0"]);
});
