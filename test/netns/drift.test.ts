// Somebody changes what is ours, or what we wait for appears: put right by itself, and what is not ours is left alone.
import { execFile } from "node:child_process";
import { basename, join } from "node:path";
import { promisify } from "node:util";
import test from "ava";
import type { LabHost } from "../../daemon/demo/lab.ts";
import { BROADCAST, frame, station, text } from "../peers/frames.ts";
import { metric } from "../support/change.ts";
import { until } from "../support/until.ts";
import { OOB, tap, TestHost } from "../support/test-host.ts";

const run = promisify(execFile);
const ip = (h: TestHost, ...args: string[]) => run("nsenter", [`--net=${h.host.path}`, "ip", ...args]);

test("a NIC that is absent is a condition, and is taken as soon as it appears", async (t) => {
  const h = await TestHost.start(t, { intent: OOB(), nics: [], ready: false });
  const status = await h.status();
  t.deepEqual(
    status.conditions.map(({ code }) => code),
    ["NIC_ABSENT"],
  );
  t.false(status.ready);
  await h.lab.cable({ host: h.host, interface: "nic0" }, { host: h.wire, interface: "nic0" });
  await until(async () => (await h.status()).ready);
  const pod = await h.add("pod", { vlan: 100 });
  const wire = await tap(t, h.wire, "nic0");
  const inside = await tap(t, pod.host, "eth0");
  await inside.send(frame({ dst: BROADCAST, src: station(1), payload: text("hello") }));
  await until(() => wire.frames.some(({ data, vlan }) => vlan?.tci === 100 && Buffer.from(data).includes("hello")));
  t.pass();
});

test("a NIC with an address, or with another master, is refused by name; the rest goes on", async (t) => {
  const h = await TestHost.start(t, { intent: OOB(), nics: [], ready: false });
  const { a } = await h.lab.cable({ host: h.host, interface: "early" }, { host: h.wire, interface: "nic0" });
  await h.host.namespace.addAddress({ ifindex: a, address: "192.0.2.1", prefixLength: 24 });
  await ip(h, "link", "set", "early", "down");
  await ip(h, "link", "set", "early", "name", "nic0");
  await ip(h, "link", "set", "nic0", "up");
  const code = async (): Promise<string | undefined> => (await h.status()).conditions[0]?.code;
  await until(async () => (await code()) === "NIC_HAS_ADDRESS");
  const nic = await h.host.namespace.link({ name: "nic0" });
  t.is((nic?.flags ?? 0) & 0x100, 0, "it was not made promiscuous");

  await ip(h, "link", "add", "br0", "type", "bridge");
  await ip(h, "addr", "flush", "dev", "nic0");
  await ip(h, "link", "set", "nic0", "master", "br0");
  await until(async () => (await code()) === "NIC_HAS_MASTER");
  await ip(h, "link", "set", "nic0", "nomaster");
  await until(async () => (await h.status()).ready);
  t.truthy(await h.host.namespace.link({ name: "br0" }), "the foreign bridge is untouched");
});

test("a bridge or probe port that is deleted, a NIC that is set down, a port's lost program: all are repaired", async (t) => {
  const h = await TestHost.start(t, { intent: PROBED });
  await ip(h, "link", "del", "oob-br");
  await until(async () => (await h.host.namespace.link({ name: "oob-br" })) !== null);
  await ip(h, "link", "del", "oob-pp");
  await until(async () => (await h.ports()).some(({ device, attached }) => device === "oob-pp" && attached));
  await ip(h, "link", "set", "nic0", "down");
  await until(async () => (await h.host.namespace.link({ name: "nic0" }))?.up === true);
  const nic = await h.host.namespace.link({ name: "nic0" });
  const ifindex = nic?.ifindex ?? 0;
  const hung = async () => (await h.host.namespace.bpf.queryTcx(ifindex)).map(({ linkId }) => linkId).join();
  const first = await hung();
  await h.host.namespace.bpf.unpin(join(h.directory, `bpf/v2/links/${ifindex}`));
  // The kernel takes the program off some time after its last reference has gone; only then is something amiss.
  await until(async () => !["", first].includes(await hung()));
  await until(async () => (await h.ports()).find(({ device }) => device === "nic0")?.attached === true);
  await ip(h, "link", "set", "oob-br", "mtu", "1400");
  await until(async () => (await h.host.namespace.link({ name: "oob-br" }))?.mtu === 1500);
  await until(async () => (await h.status()).conditions.length === 0);
  t.pass();
});

test("what a daemon left that died between making a link and naming it is taken up, or goes", async (t) => {
  const born = async (host: LabHost, name: string): Promise<void> => {
    await run("ip", ["-n", basename(host.path), "link", "add", name, "group", "28791", "type", "bridge"]);
  };
  const h = await TestHost.start(t, {
    intent: OOB(),
    prepare: async (host) => {
      await born(host, "oob-br");
      await born(host, "gone-br");
    },
  });
  t.is((await h.host.namespace.link({ name: "oob-br" }))?.alias, "portwright bridge oob switch 0");
  t.is(await h.host.namespace.link({ name: "gone-br" }), null);
});

test("a program that is taken off its hook comes back without any event, is counted and logged", async (t) => {
  const h = await TestHost.start(t, { intent: OOB() });
  const pod = await h.add("pod", { vlan: 100 });
  const device = pod.result.interfaces[1]?.name ?? "";
  const link = await h.host.namespace.link({ name: device });
  const repairs = await metric(h, "portwright_drift_repairs_total");
  const pin = join(h.directory, `bpf/v2/links/${link?.ifindex}`);
  const bpf = h.host.namespace.bpf;
  const ifindex = link?.ifindex ?? 0;
  const hasSettled = async () => (await bpf.queryTcx(ifindex)).length === 1 && (await bpf.queryClsact(ifindex)) === 0;
  await until(hasSettled, 30_000); // a port begins with a filter
  const held = await bpf.openLink(pin);
  await bpf.detachLink(held); // the pin stays, and holds a link without a device
  held.close();
  const begun = performance.now();
  t.deepEqual(await bpf.queryTcx(ifindex), []);
  await until(async () => (await bpf.queryTcx(ifindex)).length === 1, 5_000);
  t.log(`back after ${Math.round(performance.now() - begun)} ms`);
  await until(async () => (await metric(h, "portwright_drift_repairs_total")) === repairs + 1);
  t.regex(h.daemon.log, /ports have lost their place in the switch/);
  const wire = await tap(t, h.wire, "nic0");
  const inside = await tap(t, pod.host, "eth0");
  await inside.send(frame({ dst: BROADCAST, src: station(1), payload: text("hello") }));
  await until(() => wire.frames.some(({ vlan }) => vlan?.tci === 100));
});

test("a link of somebody else with one of our names stays as it is, and is a condition until it goes", async (t) => {
  const h = await TestHost.start(t, { intent: OOB(), ready: false, prepare: (host) => addForeignBridge(host.path) });
  const status = await h.status();
  t.deepEqual(
    status.conditions.map(({ code }) => code),
    ["NAME_TAKEN"],
  );
  t.is((await h.host.namespace.link({ name: "oob-br" }))?.alias, "");
  await until(() => h.daemon.log.includes('"msg":"ready"')); // the rounds of the start are over
  await ip(h, "link", "del", "oob-br");
  await until(async () => (await h.status()).ready, 10_000); // long before the round that comes in any case
});

async function addForeignBridge(path: string): Promise<void> {
  await run("nsenter", [`--net=${path}`, "ip", "link", "add", "oob-br", "type", "bridge"]);
}

const PROBED = `${OOB()}---
apiVersion: portwright.io/v1alpha1
kind: Network
metadata: { name: vlan100 }
spec:
  clusterNetwork: oob
  type: L2VlanNetwork
  vlan: 100
  route: { mode: manual, cidr: 10.100.0.0/24, gateway: 10.100.0.1 }
`;
