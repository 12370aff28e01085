// Device "existing": a link that somebody else made is a port for a while, and given back as it was.
import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import test from "ava";
import type { AttachmentView } from "../../daemon/api/views.ts";
import { call } from "../../daemon/client/call.ts";
import { getJson } from "../../daemon/client/get-json.ts";
import { runCni } from "../../daemon/demo/container-runtime.ts";
import { BROADCAST, frame, station, text } from "../peers/frames.ts";
import { CLUSTER_NETWORK, OOB_VLAN100, tap, TestHost, TUN } from "../support/test-host.ts";
import { openTap } from "../support/tap-end.ts";
import { until } from "../support/until.ts";

const INTENT = OOB_VLAN100(1400);
const run = promisify(execFile);
const socket = (h: TestHost): string => join(h.directory, "run/cni.sock");
const attach = (h: TestHost, name: string, containerId = "vm") => {
  const body = { network: "vlan100", containerId, device: { kind: "existing", name } };
  return call<AttachmentView>(socket(h), { method: "POST", path: "/v1/attachments", body });
};
const detach = (h: TestHost, name: string, containerId = "vm") =>
  call(socket(h), { method: "DELETE", path: `/v1/attachments/${encodeURIComponent(`${containerId}/${name}`)}` });
const link = async (h: TestHost, name: string) => {
  const found = await h.host.namespace.link({ name });
  return found && { up: found.up, mtu: found.mtu, alias: found.alias, noArp: (found.flags & 0x80) !== 0 };
};
const conditions = async (h: TestHost) =>
  (await h.status()).conditions.filter(({ object }) => object === "Attachment/vm/tap7");

test("a tap of somebody else's is switched while it is attached, and then as it was before", async (t) => {
  const h = await TestHost.start(t, { intent: INTENT });
  await h.host.namespace.createLink({ ...TUN, name: "tap7", alias: "of QEMU", mtu: 1500 });
  const before = await link(h, "tap7");
  t.deepEqual(before, { up: false, mtu: 1500, alias: "of QEMU", noArp: false });
  const made = await attach(h, "tap7");
  t.like(made, { id: "vm/tap7", hostInterface: "tap7", mtu: 1400, device: { kind: "existing", name: "tap7" } });
  t.deepEqual(await link(h, "tap7"), {
    ...{ up: true, mtu: 1400, noArp: true },
    alias: "portwright-borrowed down arp 1500 for vm/tap7 was of QEMU",
  });
  const guest = await openTap(t, h.host.path, "tap7");
  const wire = await tap(t, h.wire, "nic0");
  guest.send(frame({ dst: BROADCAST, src: made.mac, payload: text("hello") }));
  await until(() => wire.frames.some(({ data, vlan }) => vlan?.tci === 100 && Buffer.from(data).includes("hello")));
  await wire.send(frame({ dst: made.mac, src: station(9), tags: [{ vid: 100 }], payload: text("back") }));
  await until(() => guest.count("back") === 1);
  await h.restart();
  guest.send(frame({ dst: station(9), src: made.mac, payload: text("after a restart") }));
  await until(() => wire.frames.some(({ data }) => Buffer.from(data).includes("after a restart")));
  await detach(h, "tap7");
  t.deepEqual(await link(h, "tap7"), before);
  t.deepEqual(
    (await h.ports()).map(({ role }) => role),
    ["uplink"],
  );
  guest.send(frame({ dst: BROADCAST, src: made.mac, payload: text("nobody hears") }));
});

test("its maker ends and comes again: a condition meanwhile, then a port again; detaching works in between", async (t) => {
  const h = await TestHost.start(t, { intent: INTENT });
  await h.host.namespace.createLink({ ...TUN, name: "tap7" });
  const { mac } = await attach(h, "tap7");
  await h.host.namespace.deleteLink({ name: "tap7" });
  await until(async () => (await conditions(h)).some(({ code }) => code === "DEVICE_ABSENT"));
  t.is((await h.ports()).length, 1);
  await h.host.namespace.createLink({ ...TUN, name: "tap7", alias: "the second", mtu: 1300 });
  await until(async () => (await conditions(h)).length === 0 && (await h.ports()).length === 2);
  const { attachments } = await getJson<{ attachments: AttachmentView[] }>(socket(h), "/v1/attachments");
  t.is(attachments[0]?.hostIfindex, (await h.host.namespace.link({ name: "tap7" }))?.ifindex);
  const guest = await openTap(t, h.host.path, "tap7");
  const wire = await tap(t, h.wire, "nic0");
  guest.send(frame({ dst: BROADCAST, src: mac, payload: text("again") }));
  await until(() => wire.frames.some(({ data, vlan }) => vlan?.tci === 100 && Buffer.from(data).includes("again")));
  await detach(h, "tap7");
  t.deepEqual(await link(h, "tap7"), { up: false, mtu: 1300, alias: "the second", noArp: false });

  await attach(h, "tap7");
  await h.host.namespace.deleteLink({ name: "tap7" });
  await detach(h, "tap7");
  await until(async () => (await conditions(h)).length === 0);
});

test("a daemon that died amid a detach gives the link back when it starts", async (t) => {
  const h = await TestHost.start(t, { intent: INTENT });
  await h.host.namespace.createLink({ ...TUN, name: "tap7", alias: "mine", up: true });
  const before = await link(h, "tap7");
  await attach(h, "tap7");
  await h.daemon.kill();
  // The record went first: all that is left says so by itself.
  const { rm } = await import("node:fs/promises");
  await rm(join(h.directory, "state/attachments"), { recursive: true });
  await h.start();
  t.deepEqual(await link(h, "tap7"), before);
  t.is((await h.ports()).length, 1);
});

test("what belongs to somebody is refused, and left as it is", async (t) => {
  const h = await TestHost.start(t, { intent: `${INTENT}---${CLUSTER_NETWORK("two")}` });
  const { namespace } = h.host;
  const master = await namespace.createLink({ kind: "bridge", name: "br7" });
  await namespace.createLink({ ...TUN, name: "in-bridge", master: master.ifindex });
  const addressed = await namespace.createLink({ ...TUN, name: "addressed" });
  await namespace.addAddress({ ifindex: addressed.ifindex, address: "192.0.2.1", prefixLength: 24 });
  await namespace.createLink({ ...TUN, name: "long", alias: "x".repeat(250) });
  await namespace.createLink({ ...TUN, name: "tap7" });
  await namespace.createLink({ ...TUN, name: "filtered" });
  const tc = (...args: string[]) => run("nsenter", [`--net=${h.host.path}`, "tc", ...args]);
  await tc("qdisc", "add", "dev", "filtered", "clsact");
  await tc("filter", "add", "dev", "filtered", "egress", "u32", "match", "u32", "0", "0");
  // IFF_RUNNING and the operational state follow the carrier a little later (linkwatch).
  const settled = { stats: null, operState: null };
  const snapshot = async () =>
    (await namespace.links()).map((one) => ({ ...one, flags: one.flags & ~0x40, ...settled }));
  const before = await snapshot();
  for (const [name, why] of [
    ["in-bridge", /belongs to bridge br7/],
    ["addressed", /has the address 192\.0\.2\.1\/24/],
    ["long", /alias of long is too long/],
    ["filtered", /filtered has a program or filter of somebody else's: tc egress/],
    ["nic0", /is a NIC of VlanConfig/],
    ["oob-br", /bridge/],
    ["lo", /loopback/],
  ] as const)
    await t.throwsAsync(attach(h, name), { code: "DEVICE_REFUSED", message: why }, name);
  await t.throwsAsync(attach(h, "nobody"), { code: "DEVICE_ABSENT" });
  t.deepEqual(await snapshot(), before);
  await attach(h, "tap7");
  await t.throwsAsync(attach(h, "tap7", "other"), { code: "DEVICE_REFUSED", message: /tap7 is the port of vm\/tap7/ });
  await detach(h, "tap7");
});

test("in a chain, the device that the plugin before made on the host is attached, and its result passed on", async (t) => {
  const h = await TestHost.start(t, { intent: INTENT });
  await h.host.namespace.createLink({ ...TUN, name: "tap7" });
  const prevResult = { cniVersion: "1.0.0", interfaces: [{ name: "tap7", mac: "02:00:00:00:07:07" }] };
  const conf = { vlan: 100, device: { kind: "existing" } };
  const vm = await h.add("vm", { ...conf, prevResult });
  t.deepEqual(
    vm.result.interfaces.map(({ name }) => name),
    ["tap7", "oob-br"],
  );
  t.is((await h.host.namespace.link({ name: "tap7" }))?.mtu, 1400);
  const made = { ...vm.call, netconf: { ...vm.call.netconf, ...conf, prevResult: vm.result } };
  await runCni(h.runtime, { ...made, command: "CHECK" });
  await h.host.namespace.changeLink({ name: "tap7" }, { alias: "" });
  await until(
    async () => (await h.host.namespace.link({ name: "tap7" }))?.alias.startsWith("portwright-borrowed") === true,
  );
  await h.del(vm);
  t.is((await h.host.namespace.link({ name: "tap7" }))?.alias, "");
  await t.throwsAsync(h.add("two", { ...conf, prevResult: { ...prevResult, interfaces: [] } }), {
    message: /device\.name is missing/,
  });
});

test("an end of a veth that somebody else made is a port, too, and the pair stays theirs", async (t) => {
  const h = await TestHost.start(t, { intent: INTENT });
  const theirs = await h.lab.host("theirs");
  await h.lab.cable({ host: h.host, interface: "v0" }, { host: theirs, interface: "eth0" });
  const before = await link(h, "v0");
  await attach(h, "v0", "pair");
  const [inside, wire] = [await tap(t, theirs, "eth0"), await tap(t, h.wire, "nic0")];
  await inside.send(frame({ dst: BROADCAST, src: station(1), payload: text("from the pair") }));
  await until(() =>
    wire.frames.some(({ data, vlan }) => vlan?.tci === 100 && Buffer.from(data).includes("from the pair")),
  );
  await wire.send(frame({ dst: station(1), src: station(9), tags: [{ vid: 100 }], payload: text("to the pair") }));
  await until(() => inside.frames.some(({ data }) => Buffer.from(data).includes("to the pair")));
  await detach(h, "v0", "pair");
  t.deepEqual(await link(h, "v0"), before);
  t.true((await theirs.namespace.link({ name: "eth0" }))?.up);
});
