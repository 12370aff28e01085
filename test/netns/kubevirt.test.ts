// What KubeVirt's bridge binding does to a pod's interface after ADD: renamed, another MAC, in a bridge beside a tap, and
// a dummy under the old name that keeps the addresses. CHECK, DEL and the MTU go by our own record.
import { join } from "node:path";
import test from "ava";
import { call } from "../../daemon/client/call.ts";
import { runCni } from "../../daemon/demo/container-runtime.ts";
import type { ApplyAnswer } from "../../daemon/model/transaction.ts";
import { BROADCAST, frame, station, text } from "../peers/frames.ts";
import { OOB, type Pod, staticIpam, tap, TestHost, TUN } from "../support/test-host.ts";
import { openTap } from "../support/tap-end.ts";
import { until } from "../support/until.ts";

const ADDRESS = { address: "10.100.0.11", prefixLength: 24 } as const;

/** This machine's kernel may have no dummy: a tap that nobody opens is as good. */
async function kubevirt({ host: { namespace } }: Pod): Promise<{ mac: string }> {
  const pod = await namespace.link({ name: "eth0" });
  if (!pod) throw new Error("no eth0");
  const { ifindex, mac } = pod;
  await namespace.changeLink({ ifindex }, { up: false });
  await namespace.removeAddress({ ifindex, ...ADDRESS });
  const bridge = await namespace.createLink({ kind: "bridge", name: "k6t-37a8eec1ce1", up: true });
  await namespace.changeLink({ ifindex }, { name: "37a8eec1ce1-nic", mac: station(77), master: bridge.ifindex });
  await namespace.changeLink({ ifindex }, { up: true });
  await namespace.createLink({ ...TUN, name: "tap37a8eec1ce1", master: bridge.ifindex, up: true });
  const dummy = await namespace.createLink({ ...TUN, name: "eth0", mac });
  await namespace.addAddress({ ifindex: dummy.ifindex, ...ADDRESS });
  return { mac };
}

const check = (h: TestHost, pod: Pod) =>
  runCni(h.runtime, { ...pod.call, command: "CHECK", netconf: { ...pod.call.netconf, prevResult: pod.result } });

async function started(t: Parameters<typeof TestHost.start>[0]): Promise<{ h: TestHost; vm: Pod; mac: string }> {
  const h = await TestHost.start(t, { intent: OOB(), nics: [{ name: "nic0", mtu: 9000 }] });
  const vm = await h.add("vm", { vlan: 100, macspoofchk: true, ...staticIpam("10.100.0.11/24") });
  return { h, vm, ...(await kubevirt(vm)) };
}

test("frames of the VM pass with the MAC of the attach, and with no other where that is checked", async (t) => {
  const { h, vm, mac } = await started(t);
  const guest = await openTap(t, vm.host.path, "tap37a8eec1ce1");
  const wire = await tap(t, h.wire, "nic0");
  guest.send(frame({ dst: BROADCAST, src: station(66), payload: text("another MAC") }));
  guest.send(frame({ dst: BROADCAST, src: mac, payload: text("its own") }));
  await until(() => wire.frames.some(({ data, vlan }) => vlan?.tci === 100 && Buffer.from(data).includes("its own")));
  t.false(wire.frames.some(({ data }) => Buffer.from(data).includes("another MAC")));
  await wire.send(frame({ dst: mac, src: station(9), tags: [{ vid: 100 }], payload: text("answer") }));
  await until(() => guest.count("answer") === 1);
});

test("CHECK finds the interface under its new name, and still says what is wrong with it", async (t) => {
  const { h, vm } = await started(t);
  await check(h, vm);
  await h.restart();
  await check(h, vm);
  await vm.host.namespace.changeLink({ name: "37a8eec1ce1-nic" }, { up: false });
  await t.throwsAsync(check(h, vm), { message: /37a8eec1ce1-nic in the container is down/ });
  await vm.host.namespace.changeLink({ name: "37a8eec1ce1-nic" }, { up: true });
  await vm.host.namespace.deleteLink({ name: "eth0" });
  await t.throwsAsync(check(h, vm), { message: /lacks the address 10\.100\.0\.11\/24/ });
  await vm.host.namespace.deleteLink({ name: "37a8eec1ce1-nic" });
  await t.throwsAsync(check(h, vm), { message: /host interface \S+ \(index \d+\) is gone/ });
});

test("DEL takes the interface and leaves KubeVirt's own, also when the old name is on an interface that looks like ours", async (t) => {
  const { h, vm } = await started(t);
  await vm.host.namespace.deleteLink({ name: "eth0" });
  await vm.host.namespace.createLink({ kind: "veth", name: "eth0", peer: { name: "other" } });
  await h.del(vm);
  t.deepEqual((await vm.host.namespace.links()).map(({ name }) => name).toSorted(), [
    ...["eth0", "k6t-37a8eec1ce1", "lo", "other", "tap37a8eec1ce1"],
  ]);
  await h.del(vm);
  t.deepEqual(
    (await h.ports()).map(({ role }) => role),
    ["uplink"],
  );
});

test("the MTU follows the network on the interface that is ours, not on the one that has its name", async (t) => {
  const { h, vm } = await started(t);
  const body = { texts: [{ file: "test.yaml", text: OOB(9000) }] };
  const { last } = await call<ApplyAnswer>(join(h.directory, "run/admin.sock"), {
    method: "POST",
    path: "/v1/apply",
    body,
  });
  t.is(last?.result, "committed");
  t.is((await vm.host.namespace.link({ name: "37a8eec1ce1-nic" }))?.mtu, 9000);
  t.is((await vm.host.namespace.link({ name: "eth0" }))?.mtu, 1500);
});
