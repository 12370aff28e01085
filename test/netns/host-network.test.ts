// The host's own interface in a VLAN, with the real daemon: its address reaches a gateway behind the uplink, what somebody
// changes is put right, what somebody adds stays, and nothing is left when it is not wanted any more.
import { execFile } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import test from "ava";
import { hostState, metric } from "../support/change.ts";
import { HOST_NETWORK, hostNetwork, pings, STATIC, WireSwitch } from "../support/host-network.ts";
import { until } from "../support/until.ts";
import { network, OOB, TestHost } from "../support/test-host.ts";

const run = promisify(execFile);
const ip = (h: TestHost, ...args: string[]) => run("nsenter", [`--net=${h.host.path}`, "ip", ...args]);
const ready = (h: TestHost, name: string) => async () => (await hostNetwork(h, name)).ready;

const STORAGE = HOST_NETWORK("storage", 100, STATIC("10.100.0.5/24"));

/** Before the round that comes every 30 s in any case. */
const SOON = 10_000;

async function reload(h: TestHost, intent: string): Promise<void> {
  await writeFile(join(h.directory, "intent.yaml"), intent);
  process.kill(h.daemon.pid, "SIGHUP");
}

test("a static address reaches a gateway across its VLAN behind the uplink, and nobody in another VLAN", async (t) => {
  const h = await TestHost.start(t, { intent: `${OOB()}---${STORAGE}` });
  const wire = await WireSwitch.build(t, h, [100, 200]);
  await wire.station("gw100", 100, "10.100.0.1/24");
  await wire.station("gw200", 200, "10.100.0.2/24");
  await until(ready(h, "storage"));
  t.true(await pings(h.host, "10.100.0.1"));
  t.false(await pings(h.host, "10.100.0.2"));
  const pod = await h.add("pod", { vlan: 100 });
  await ip({ host: pod.host } as TestHost, "addr", "add", "10.100.0.9/24", "dev", "eth0");
  t.true(await pings(pod.host, "10.100.0.5"), "a workload of the VLAN reaches the host");
  t.true(await pings(h.host, "10.100.0.9"), "and the host the workload");

  const [device, other] = ["oob-br.100", "oob-h.100"];
  t.like(await hostNetwork(h, "storage"), {
    ...{ device, vlan: 100, mode: "static", mtu: 1500, lease: null },
    addresses: [{ address: "10.100.0.5/24", state: "ready" }],
  });
  const port = (await h.ports()).find((one) => one.device === other);
  t.like(port, { role: "host", pvid: 100, allowed: "100", untagged: "100", attached: true });
  const { mac } = await hostNetwork(h, "storage");
  t.regex(mac, /^.[26ae]:/, "locally administered");
  const link = await h.host.namespace.link({ name: device });
  t.is((link?.flags ?? 0) & 0x80, 0, "it asks and answers ARP");
  const own = await h.host.namespace.addresses(link?.ifindex);
  t.true(
    own.some(({ address }) => address.startsWith("fe80::")),
    "IPv6 gives itself a link-local address",
  );

  await h.restart();
  t.is((await hostNetwork(h, "storage")).mac, mac, "a restart changes nothing");
  t.is(await metric(h, 'portwright_kernel_writes_total{subsystem="netlink"}'), 0);
});

test("an address that somebody removes, an interface set down or deleted: all are repaired and counted; a foreign address stays", async (t) => {
  const both = '{ ipv4: 10.100.0.5/24, ipv6: "2001:db8::5/64" }';
  const spec = STATIC("x").replace("ips", "ipFamily: dual-stack, hostMultiFamilyIPs").replace("x }", `${both} }`);
  const h = await TestHost.start(t, { intent: `${OOB()}---${HOST_NETWORK("storage", 100, spec)}`, ready: false });
  const wire = await WireSwitch.build(t, h, [100]);
  await wire.station("gw", 100, "10.100.0.1/24", "2001:db8::1/64");
  await until(ready(h, "storage"));
  t.true(await pings(h.host, "2001:db8::1"));
  const { mac } = await hostNetwork(h, "storage");
  const repairs = () => metric(h, "portwright_drift_repairs_total");
  const addresses = async () => (await hostNetwork(h, "storage")).addresses.map(({ address }) => address);
  const before = await repairs();

  await ip(h, "addr", "add", "192.0.2.7/24", "dev", "oob-br.100");
  await ip(h, "addr", "del", "10.100.0.5/24", "dev", "oob-br.100");
  await until(async () => (await addresses()).includes("10.100.0.5/24"), SOON);
  await until(async () => (await repairs()) === before + 1);
  t.true((await addresses()).includes("192.0.2.7/24"), "what somebody added is somebody's");

  await ip(h, "link", "set", "oob-br.100", "down"); // IPv6 forgets its addresses
  await until(ready(h, "storage"), SOON);
  t.true((await addresses()).includes("2001:db8::5/64"));
  t.true((await addresses()).includes("192.0.2.7/24"));

  for (const end of ["oob-br.100", "oob-h.100"]) {
    await ip(h, "link", "del", end);
    await until(ready(h, "storage"), SOON);
    t.true(await pings(h.host, "10.100.0.1"));
    t.true(await pings(h.host, "2001:db8::1"));
    t.is((await hostNetwork(h, "storage")).mac, mac, "it is the same station as before");
  }
});

test("another address takes the place of the one before; without its HostNetworkConfig nothing is left", async (t) => {
  const h = await TestHost.start(t, { intent: OOB() });
  const bare = await hostState(h);
  await reload(h, `${OOB()}---${STORAGE}`);
  await until(async () => (await h.status()).hostNetworks[0]?.ready === true);
  await ip(h, "addr", "add", "192.0.2.7/24", "dev", "oob-br.100");
  const { mac } = await hostNetwork(h, "storage");
  await reload(
    h,
    `${OOB()}---${HOST_NETWORK("storage", 100, `${STATIC("10.100.0.6/24")}, hardwareAddr: "02:00:5e:00:00:01"`)}`,
  );
  await until(async () => (await hostNetwork(h, "storage")).mac === "02:00:5e:00:00:01");
  await until(ready(h, "storage"));
  const { addresses } = await hostNetwork(h, "storage");
  t.deepEqual(
    addresses
      .map(({ address }) => address)
      .filter((one) => !one.startsWith("fe80"))
      .toSorted(),
    ["10.100.0.6/24", "192.0.2.7/24"],
  );
  t.not(mac, "02:00:5e:00:00:01");
  await reload(h, OOB());
  await until(async () => (await h.status()).hostNetworks.length === 0);
  await until(async () => (await h.host.namespace.link({ name: "oob-br.100" })) === null);
  await until(async () => (await h.status()).transaction.phase === "idle"); // the uplink's VLANs go last
  t.deepEqual(await hostState(h), bare);
});

test("a network that goes leaves the VLAN that it shared with the host's interface", async (t) => {
  const route = "route: { mode: manual, cidr: 10.100.0.0/24, gateway: 10.100.0.1 }";
  const shared = `${OOB()}---${STORAGE}`;
  const h = await TestHost.start(t, { intent: `${shared}---${network("vm", 100, route)}` });
  const wire = await WireSwitch.build(t, h, [100]);
  await wire.station("gw", 100, "10.100.0.1/24");
  await until(ready(h, "storage"));
  const pod = await h.add("pod", { vlan: 100 });
  const uplink = async () => (await h.ports()).find(({ role }) => role === "uplink")?.allowed;
  t.is(await uplink(), "100");
  await h.del(pod);
  await reload(h, shared);
  await until(async () => (await h.status()).networks.length === 0);
  const other = await h.add("other", { vlan: 300 });
  t.is(await uplink(), "100,300");
  await h.del(other);
  await until(async () => (await uplink()) === "100", 30_000); // pruned at rest
  t.true(await pings(h.host, "10.100.0.1"));
  await reload(h, OOB());
  await until(async () => (await uplink()) === "", 30_000);
});
