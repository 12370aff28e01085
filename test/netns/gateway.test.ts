// Gateways of workloads on the host, with the real daemon and frames: who answers, who forwards, what stays and what goes.
import { execFile } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import test from "ava";
import { runCni } from "../../daemon/demo/container-runtime.ts";
import { HOST_NETWORK, hostNetwork, pings, STATIC } from "../support/host-network.ts";
import { OOB, type Pod, staticIpam, TestHost } from "../support/test-host.ts";
import { until } from "../support/until.ts";

const run = promisify(execFile);
const inHost = async (h: TestHost, ...command: string[]) =>
  (await run("nsenter", [`--net=${h.host.path}`, ...command])).stdout.trim();
const addresses = async (h: TestHost, device: string): Promise<string[]> => {
  const all = JSON.parse(await inHost(h, "ip", "-json", "address", "show", "scope", "global"));
  const found = all.find(({ ifname }: { ifname: string }) => ifname === device);
  const shown = found?.addr_info.filter((one: { local?: string }) => one.local !== undefined) ?? [];
  return shown.map((one: { local: string; prefixlen: number }) => `${one.local}/${one.prefixlen}`);
};
const dual = (v4: string, v6: string) => ({ ipam: { type: "static", addresses: [{ address: v4 }, { address: v6 }] } });
const refusal = async (adding: Promise<Pod>) => {
  try {
    await adding;
  } catch (error) {
    return error as { message: string };
  }
  return null;
};

test("the gateway answers at once, IPv6 as well, and routes between two VLANs", async (t) => {
  const h = await TestHost.start(t, { intent: OOB() });
  const gateway = { isDefaultGateway: true };
  const a = await h.add("a", { vlan: 100, ...gateway, ...dual("10.1.0.9/24", "fd01::9/64") });
  t.true(await pings(a.host, "10.1.0.1"));
  t.true(await pings(a.host, "fd01::1"), "without duplicate address detection");
  t.like(a.result, { ips: [{ gateway: "10.1.0.1" }, { gateway: "fd01::1" }] });
  t.deepEqual(
    a.result.interfaces.map(({ name }) => name),
    ["oob-br", a.result.interfaces[1]?.name, "eth0", "oob-br.100"],
    "as the stock plugin: the interface with the gateway is the last one",
  );
  const b = await h.add("b", { vlan: 200, ...gateway, ...dual("10.2.0.9/24", "fd02::9/64") });
  t.true(await pings(a.host, "10.2.0.9"));
  t.true(await pings(b.host, "fd01::9"));
  t.is(await inHost(h, "cat", "/proc/sys/net/ipv4/ip_forward"), "1");
  t.is(await inHost(h, "cat", "/proc/sys/net/ipv6/conf/all/forwarding"), "1");
  await runCni(h.runtime, { ...a.call, command: "CHECK", netconf: { ...a.call.netconf, prevResult: a.result } });
});

test("an untagged port's gateway is in the native VLAN", async (t) => {
  const h = await TestHost.start(t, { intent: OOB() });
  const pod = await h.add("pod", { isGateway: true, ...staticIpam("10.1.0.9/24") });
  t.true(await pings(pod.host, "10.1.0.1"));
  t.deepEqual(await addresses(h, "oob-br.1"), ["10.1.0.1/24"]);
  t.is(pod.result.interfaces.length, 3);
});

test("one gateway serves all workloads of its subnet, and goes with the last one", async (t) => {
  const h = await TestHost.start(t, { intent: OOB() });
  const conf = { vlan: 100, isGateway: true };
  const a = await h.add("a", { ...conf, ...staticIpam("10.1.0.9/24") });
  const writes = async () => (await h.host.namespace.link({ name: "oob-br.100" }))?.ifindex;
  const index = await writes();
  const b = await h.add("b", { ...conf, ...staticIpam("10.1.0.10/24") });
  t.is(await writes(), index);
  await h.del(a);
  await h.restart();
  t.is(await writes(), index, "a restart leaves it alone");
  t.true(await pings(b.host, "10.1.0.1"));
  await h.del(b);
  await until(async () => (await writes()) === undefined);
  t.is(await h.host.namespace.link({ name: "oob-h.100" }), null);
});

test("a gateway that somebody takes away comes back", async (t) => {
  const h = await TestHost.start(t, { intent: OOB() });
  const pod = await h.add("pod", { vlan: 100, isGateway: true, ...staticIpam("10.1.0.9/24") });
  await inHost(h, "ip", "address", "del", "10.1.0.1/24", "dev", "oob-br.100");
  // Before the round that comes in any case.
  await until(async () => (await addresses(h, "oob-br.100")).length === 1, 10_000);
  t.true(await pings(pod.host, "10.1.0.1"));
});

test("a HostNetworkConfig and workloads share the interface of their VLAN", async (t) => {
  const storage = HOST_NETWORK("storage", 100, STATIC("10.1.0.5/24"));
  const h = await TestHost.start(t, { intent: `${OOB()}---${storage}` });
  const pod = await h.add("pod", { vlan: 100, isGateway: true, ...staticIpam("10.1.0.9/24") });
  t.true(await pings(pod.host, "10.1.0.1"));
  t.true(await pings(pod.host, "10.1.0.5"));
  t.true((await hostNetwork(h, "storage")).ready);
  await writeFile(join(h.directory, "intent.yaml"), OOB());
  process.kill(h.daemon.pid, "SIGHUP");
  await until(async () => (await addresses(h, "oob-br.100")).join() === "10.1.0.1/24");
  t.true(await pings(pod.host, "10.1.0.1"), "the workload keeps its gateway");
});

test("another subnet on the interface is refused, by force removed, unless somebody is known to want it", async (t) => {
  const h = await TestHost.start(t, { intent: OOB() });
  const conf = { vlan: 100, isGateway: true };
  const first = await h.add("first", { ...conf, ...staticIpam("10.1.0.9/24") });
  await inHost(h, "ip", "address", "add", "10.7.0.1/24", "dev", "oob-br.100");
  const other = { ...conf, ...staticIpam("10.2.0.9/24") };
  t.regex((await refusal(h.add("second", other)))?.message ?? "", /10\.1\.0\.1\/24 is there for Attachment\/first/);
  await h.del(first);
  t.regex((await refusal(h.add("third", other)))?.message ?? "", /10\.7\.0\.1\/24.*forceAddress/);
  t.true((await addresses(h, "oob-br.100")).includes("10.7.0.1/24"), "it was not touched");
  const forced = await h.add("fourth", { ...other, forceAddress: true });
  t.deepEqual(await addresses(h, "oob-br.100"), ["10.2.0.1/24"]);
  t.true(await pings(forced.host, "10.2.0.1"));
});
