// Device "inner-tap": a tap in the pod's namespace, for a VM that runs there, with the veth to the switch behind it.
import test from "ava";
import { removeNetns } from "../../daemon/demo/lab.ts";
import { runCni } from "../../daemon/demo/container-runtime.ts";
import { nativeKernel } from "../../daemon/kernel/native.ts";
import { arpRequest, BROADCAST, ETH_P_ARP, frame, station, text } from "../peers/frames.ts";
import { OOB, type Pod, tap, TestHost } from "../support/test-host.ts";
import { openTap } from "../support/tap-end.ts";
import { until } from "../support/until.ts";

async function parts(pod: Pod, name = "eth0") {
  const links = await pod.host.namespace.links();
  return { tap: links.find((link) => link.name === name), end: links.find((link) => link.kind === "veth") };
}
const names = async (pod: Pod): Promise<readonly string[]> =>
  (await pod.host.namespace.links()).map(({ name }) => name).toSorted();
const check = (h: TestHost, pod: Pod) =>
  runCni(h.runtime, { ...pod.call, command: "CHECK", netconf: { ...pod.call.netconf, prevResult: pod.result } });

test("a VM in a pod talks by its tap, in its VLAN, to a pod and to the wire; the pod's own stack hears nothing", async (t) => {
  const h = await TestHost.start(t, { intent: OOB() });
  const vm = await h.add("vm", { vlan: 100, device: { kind: "inner-tap", queues: 2, owner: 107, group: 107 } });
  const pod = await h.add("pod", { vlan: 100 });
  const [, , shown] = vm.result.interfaces;
  t.like(shown, { name: "eth0", sandbox: vm.host.path, mtu: 1500 });
  const { tap: link, end } = await parts(vm);
  t.like(link, { kind: "tun", up: true, mtu: 1500 });
  t.like(link?.data, { multiQueue: true, owner: 107, group: 107, persist: true });
  t.is(link?.mac, shown?.mac, "the tap has the MAC that is the VM's, as a VM manager reads it there");
  t.not(end?.mac, shown?.mac);
  await check(h, vm);

  // An address in the pod's namespace would be answered for, if its stack heard anything.
  await vm.host.namespace.changeLink({ ifindex: end?.ifindex ?? 0 }, { noArp: false });
  await vm.host.namespace.addAddress({ ifindex: end?.ifindex ?? 0, address: "10.7.0.1", prefixLength: 24 });
  const guest = await openTap(t, vm.host.path, "eth0", { queues: 2, uid: 107 });
  const [atPod, wire] = [await tap(t, pod.host, "eth0"), await tap(t, h.wire, "nic0")];
  const has = (at: typeof atPod, what: string): boolean =>
    at.frames.some(({ data }) => Buffer.from(data).includes(what));
  const mac = shown?.mac ?? "";
  guest.send(frame({ dst: BROADCAST, src: mac, payload: text("hello all") }));
  guest.send(frame({ dst: station(2), src: mac, payload: text("by queue 1") }), 1);
  await until(() => has(atPod, "hello all") && has(atPod, "by queue 1"));
  await until(() => wire.frames.some(({ data, vlan }) => vlan?.tci === 100 && Buffer.from(data).includes("hello all")));
  const who = arpRequest(station(2), "10.7.0.2", "10.7.0.1");
  await atPod.send(frame({ dst: BROADCAST, src: station(2), etherType: ETH_P_ARP, payload: who }));
  await atPod.send(frame({ dst: mac, src: station(2), payload: text("to the VM") }));
  await until(() => guest.count("to the VM") === 1);
  t.is(guest.count("hello all"), 0);
  t.true(
    guest.frames.some(({ data }) => data.readUInt16BE(12) === ETH_P_ARP),
    "the request went to the VM",
  );
  await atPod.send(frame({ dst: BROADCAST, src: station(2), payload: text("last") }));
  await until(() => guest.count("last") === 1);
  t.false(
    atPod.frames.some(({ data, packetType }) => packetType !== 4 && Buffer.from(data).readUInt16BE(12) === ETH_P_ARP),
  );

  await h.del(vm);
  t.deepEqual(await names(vm), ["lo"]);
  await h.del(vm);
});

test("a trunk's tags travel to the VM and back", async (t) => {
  const h = await TestHost.start(t, { intent: OOB() });
  const vm = await h.add("vm", { vlanTrunk: [{ id: 100 }, { id: 200 }], managedTap: true });
  const guest = await openTap(t, vm.host.path, "eth0");
  const wire = await tap(t, h.wire, "nic0");
  const mac = vm.result.interfaces[2]?.mac ?? "";
  guest.send(frame({ dst: BROADCAST, src: mac, tags: [{ vid: 200, pcp: 5 }], payload: text("tagged") }));
  await until(() => wire.frames.some(({ data, vlan }) => vlan?.tci === 0xa0c8 && Buffer.from(data).includes("tagged")));
  await wire.send(frame({ dst: mac, src: station(2), tags: [{ vid: 200, pcp: 3 }], payload: text("answer") }));
  await until(() => guest.count("answer") === 1);
  const got = guest.frames.find(({ data }) => data.includes("answer"))?.data;
  t.is(got?.subarray(12, 16).toString("hex"), "810060c8");
});

test("the MTU of the network is that of the tap and of the veth behind it", async (t) => {
  const h = await TestHost.start(t, { intent: OOB(9000), nics: [{ name: "nic0", mtu: 9000 }] });
  const vm = await h.add("vm", { vlan: 100, managedTap: true });
  t.like((await parts(vm)).tap, { mtu: 9000 });
  t.like((await parts(vm)).end, { mtu: 9000 });
});

test("CHECK says what is missing; a tap that was renamed is found; what a restart finds it leaves alone", async (t) => {
  const h = await TestHost.start(t, { intent: OOB() });
  const vm = await h.add("vm", { vlan: 100, managedTap: true });
  await h.restart();
  await check(h, vm);
  const { tap: link } = await parts(vm);
  await vm.host.namespace.changeLink({ ifindex: link?.ifindex ?? 0 }, { up: false });
  await t.throwsAsync(check(h, vm), { message: /eth0 in the container is down/ });
  await vm.host.namespace.changeLink({ ifindex: link?.ifindex ?? 0 }, { name: "abc-nic", up: true });
  await check(h, vm);
  await h.del(vm);
  t.deepEqual(await names(vm), ["lo"]);
});

test("a name that is taken in the pod leaves nothing behind; neither does a DEL without a namespace", async (t) => {
  const h = await TestHost.start(t, { intent: OOB() });
  const pod = await h.lab.host("vm");
  await pod.namespace.createLink({ kind: "veth", name: "eth0", peer: { name: "eth1" } });
  await t.throwsAsync(h.add("vm", { vlan: 100, managedTap: true }, { pod }), { message: /INTERFACE_EXISTS/ });
  t.deepEqual((await pod.namespace.links()).map(({ name }) => name).toSorted(), ["eth0", "eth1", "lo"]);
  await pod.namespace.deleteLink({ name: "eth0" });
  const vm = await h.add("vm", { vlan: 100, managedTap: true }, { pod });
  await runCni(h.runtime, { ...vm.call, command: "DEL", netnsPath: "" });
  t.deepEqual(await names(vm), ["lo"]);
  t.deepEqual(
    (await h.ports()).map(({ role }) => role),
    ["uplink"],
  );
});

test("a pod whose namespace has lost its name, and is held by somebody still, loses its tap all the same", async (t) => {
  const h = await TestHost.start(t, { intent: OOB() });
  const vm = await h.add("vm", { vlan: 100, managedTap: true });
  await removeNetns(nativeKernel(), vm.host.path);
  await runCni(h.runtime, { ...vm.call, command: "DEL", netnsPath: "" });
  t.deepEqual(await names(vm), ["lo"]);
});

test("a switch that has no room for the port leaves no tap in the pod", async (t) => {
  const h = await TestHost.start(t, { intent: OOB() });
  const vlanTrunk = [{ minID: 1, maxID: 4094 }];
  for (const name of ["one", "two", "three"]) await h.add(name, { vlanTrunk });
  const pod = await h.lab.host("vm");
  await t.throwsAsync(h.add("vm", { vlanTrunk, managedTap: true }, { pod }), { message: /COUNTERS_EXHAUSTED/ });
  t.deepEqual((await pod.namespace.links()).map(({ name }) => name).toSorted(), ["lo"]);
});
