// A tap on the host as a port of the switch: a VM opens it, and its frames are switched like any workload's.
import { join } from "node:path";
import test from "ava";
import { call } from "../../daemon/client/call.ts";
import type { AttachmentView } from "../../daemon/api/views.ts";
import { BROADCAST, ETH_P_IP, frame, ipv4, station, text } from "../peers/frames.ts";
import { OOB_VLAN100, tap, TestHost } from "../support/test-host.ts";
import { openTap } from "../support/tap-end.ts";
import { until } from "../support/until.ts";

const INTENT = OOB_VLAN100();
const socket = (h: TestHost): string => join(h.directory, "run/cni.sock");
const attach = (h: TestHost, body: object) =>
  call<AttachmentView>(socket(h), { method: "POST", path: "/v1/attachments", body: { network: "vlan100", ...body } });
const detach = (h: TestHost, id: string) =>
  call(socket(h), { method: "DELETE", path: `/v1/attachments/${encodeURIComponent(id)}` });

test("two VMs talk over their taps in a VLAN, and to the wire with its tag", async (t) => {
  const h = await TestHost.start(t, { intent: INTENT });
  const one = await attach(h, { containerId: "vm1", interface: "net0", device: { kind: "tap", name: "vm1-net0" } });
  const two = await attach(h, { containerId: "vm2", interface: "net0", device: { kind: "tap", queues: 2 } });
  t.like(one, { hostInterface: "vm1-net0", netnsPath: "", device: { kind: "tap", queues: 1, name: "vm1-net0" } });
  t.regex(two.hostInterface, /^pw[a-z2-7]{13}$/);
  const [vm1, vm2] = [
    await openTap(t, h.host.path, "vm1-net0"),
    await openTap(t, h.host.path, two.hostInterface, { queues: 2 }),
  ];
  const wire = await tap(t, h.wire, "nic0");
  vm1.send(frame({ dst: BROADCAST, src: one.mac, payload: text("hello all") }));
  await until(() => vm2.count("hello all") === 1);
  await until(() => wire.frames.some(({ data, vlan }) => vlan?.tci === 100 && Buffer.from(data).includes("hello all")));
  vm2.send(frame({ dst: one.mac, src: two.mac, payload: text("by queue 1") }), 1);
  await until(() => vm1.count("by queue 1") === 1);
  t.is(vm1.count("hello all"), 0);
  await wire.send(frame({ dst: one.mac, src: station(9), tags: [{ vid: 100 }], payload: text("from the wire") }));
  await wire.send(frame({ dst: one.mac, src: station(9), tags: [{ vid: 200 }], payload: text("another VLAN") }));
  await until(() => vm1.count("from the wire") === 1);
  t.is(vm1.count("another VLAN") + vm2.count("another VLAN"), 0);

  const link = await h.host.namespace.link({ name: "vm1-net0" });
  t.not(link?.mac, one.mac);
  t.true(link?.alias.startsWith("portwright port oob vlan100 vm1/net0"));
  await detach(h, "vm1/net0");
  t.is(await h.host.namespace.link({ name: "vm1-net0" }), null);
  await detach(h, "vm2/net0");
  t.deepEqual(
    (await h.ports()).map(({ role }) => role),
    ["uplink"],
  );
});

test("a frame that is left to be segmented passes whole from VM to VM, on the host and in pods", async (t) => {
  const h = await TestHost.start(t, { intent: INTENT });
  const one = await attach(h, { containerId: "vm1", device: { kind: "tap", name: "vm1" } });
  await attach(h, { containerId: "vm2", device: { kind: "tap", name: "vm2" } });
  const pod = await h.add("pod", { vlan: 100, device: { kind: "inner-tap" } });
  const vm1 = await openTap(t, h.host.path, "vm1");
  const others = [await openTap(t, h.host.path, "vm2"), await openTap(t, pod.host.path, "eth0")];
  const payload = ipv4("tcp", "10.0.0.1", "10.0.0.2", 4200);
  const whole = frame({ dst: BROADCAST, src: one.mac, etherType: ETH_P_IP, payload });
  vm1.send(whole);
  for (const other of others) await until(() => other.frames.some(({ data }) => data.length === whole.length));
  others[1]?.send(frame({ dst: one.mac, src: station(3), etherType: ETH_P_IP, payload }));
  await until(() => vm1.frames.some(({ data }) => data.length === whole.length));
  t.true(whole.length > 4200);
});

test("taps and devices of others follow the MTU of the network, on the host and in the pod", async (t) => {
  const h = await TestHost.start(t, { intent: INTENT, nics: [{ name: "nic0", mtu: 9000 }] });
  const tun = { kind: "tun", tap: { multiQueue: false, owner: null, group: null } } as const;
  await h.host.namespace.createLink({ ...tun, name: "theirs" });
  await attach(h, { containerId: "vm1", device: { kind: "tap", name: "vm1" } });
  await attach(h, { containerId: "vm2", device: { kind: "existing", name: "theirs" } });
  const pod = await h.add("pod", { vlan: 100, device: { kind: "inner-tap" } });
  const mtus = async () => {
    const links = [...(await h.host.namespace.links()), ...(await pod.host.namespace.links())];
    const ours = links.filter(({ name, kind }) => name !== "nic0" && (kind === "tun" || kind === "veth"));
    const { attachments } = await h.get<{ attachments: AttachmentView[] }>("/v1/attachments");
    return [...new Set([...ours, ...attachments, ...(await h.ports())].map(({ mtu }) => mtu))];
  };
  for (const mtu of [9000, 1400]) {
    const body = { texts: [{ file: "test.yaml", text: OOB_VLAN100(mtu) }] };
    await call(join(h.directory, "run/admin.sock"), { method: "POST", path: "/v1/apply", body });
    t.deepEqual(await mtus(), [mtu]);
  }
  await h.restart();
  t.deepEqual(await mtus(), [1400]);
});

test("a restart keeps a tap, one that is set down comes up again, one that is deleted is a condition", async (t) => {
  const h = await TestHost.start(t, { intent: INTENT });
  const { mac } = await attach(h, { containerId: "vm1", device: { kind: "tap", name: "vm1" } });
  const guest = await openTap(t, h.host.path, "vm1");
  const wire = await tap(t, h.wire, "nic0");
  const before = await h.host.namespace.link({ name: "vm1" });
  await h.daemon.kill();
  await h.start();
  t.is((await h.host.namespace.link({ name: "vm1" }))?.ifindex, before?.ifindex);
  await h.host.namespace.changeLink({ name: "vm1" }, { up: false });
  await until(async () => (await h.host.namespace.link({ name: "vm1" }))?.up === true);
  guest.send(frame({ dst: BROADCAST, src: mac, payload: text("still here") }));
  await until(() => wire.frames.some(({ data }) => Buffer.from(data).includes("still here")));
  await guest.close();
  await h.host.namespace.deleteLink({ name: "vm1" });
  await until(async () => (await h.status()).conditions.some(({ object }) => object === "Attachment/vm1/vm1"));
  await detach(h, "vm1/vm1");
  t.deepEqual(
    (await h.ports()).map(({ role }) => role),
    ["uplink"],
  );
});

test("a tap has the name that was asked for, or none is made", async (t) => {
  const h = await TestHost.start(t, { intent: INTENT });
  const device = { kind: "tap", name: "vm1" };
  await attach(h, { containerId: "vm1", interface: "net0", device });
  const links = async () => (await h.host.namespace.links()).map(({ name }) => name);
  const before = await links();
  await t.throwsAsync(attach(h, { containerId: "vm2", interface: "net0", device }), { code: "DEVICE_REFUSED" });
  await t.throwsAsync(attach(h, { containerId: "vm1", interface: "net0", device }), { code: "ATTACHMENT_EXISTS" });
  await t.throwsAsync(attach(h, { containerId: "vm2", device: { kind: "tap", name: "nic0" } }), {
    code: "INTERFACE_EXISTS",
  });
  for (const wrong of [
    { netns: h.wire.path, device },
    { addresses: ["10.0.0.1/24"], device },
    { device: { kind: "tap", name: "a%d" } },
    { device: { kind: "tap", name: "oob-br" } },
    { device: { kind: "veth", queues: 2 } },
    { device: { kind: "existing" } },
  ])
    await t.throwsAsync(attach(h, { containerId: "vm3", interface: "net0", ...wrong }), { code: "REQUEST_INVALID" });
  t.deepEqual(await links(), before);
});
