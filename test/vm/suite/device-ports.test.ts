// Taps, taps in pods and devices of others on Debian's kernels, with either datapath: what the kernel's bridge makes of
// them, and kernels without tcx; and KubeVirt's binding with a dummy, which the build machines' kernel has not.
import { join } from "node:path";
import test from "ava";
import type { AttachmentView } from "../../../daemon/api/views.ts";
import { call } from "../../../daemon/client/call.ts";
import { runCni } from "../../../daemon/demo/container-runtime.ts";
import { BROADCAST, frame, station, text } from "../../peers/frames.ts";
import { openTap } from "../../support/tap-end.ts";
import { OOB, OOB_VLAN100, staticIpam, tap, TestHost, TUN } from "../../support/test-host.ts";
import { until } from "../../support/until.ts";

const INTENT = OOB_VLAN100();

for (const datapath of ["ebpf", "bridge"] as const) {
  test.serial(
    `${datapath}: three kinds of taps are in one VLAN, outlive the daemon, and go as they came`,
    async (t) => {
      const h = await TestHost.start(t, { intent: INTENT, datapath });
      const socket = join(h.directory, "run/cni.sock");
      const attach = (containerId: string, device: object) =>
        call<AttachmentView>(socket, {
          ...{ method: "POST", path: "/v1/attachments" },
          body: { network: "vlan100", containerId, device },
        });
      const detach = (id: string) =>
        call(socket, { method: "DELETE", path: `/v1/attachments/${encodeURIComponent(id)}` });
      await h.host.namespace.createLink({ ...TUN, name: "theirs", alias: "of QEMU", mtu: 1400 });
      const made = await attach("vm1", { kind: "tap", name: "vm1", queues: 2 });
      await attach("vm2", { kind: "existing", name: "theirs" });
      const pod = await h.add("vm3", { vlan: 100, device: { kind: "inner-tap" } });
      const stranger = await h.add("other", { vlan: 200 });
      const guests = [
        await openTap(t, h.host.path, "vm1", { queues: 2 }),
        await openTap(t, h.host.path, "theirs"),
        await openTap(t, pod.host.path, "eth0"),
      ] as const;
      const [wire, outside] = [await tap(t, h.wire, "nic0"), await tap(t, stranger.host, "eth0")];
      const onWire = (what: string): boolean =>
        wire.frames.some(({ data, vlan }) => ((vlan?.tci ?? 0) & 0xfff) === 100 && Buffer.from(data).includes(what));

      for (const [n, guest] of guests.entries()) {
        guest.send(frame({ dst: BROADCAST, src: station(n + 1), payload: text(`hello of ${n}`) }));
        await until(
          () => onWire(`hello of ${n}`) && guests.every((one) => one === guest || one.count(`hello of ${n}`) === 1),
        );
      }
      await h.restart();
      guests[0].send(frame({ dst: station(3), src: station(1), payload: text("to the pod's VM") }));
      guests[2].send(frame({ dst: station(2), src: station(3), payload: text("to theirs") }));
      await until(() => guests[2].count("to the pod's VM") === 1 && guests[1].count("to theirs") === 1);
      await wire.send(
        frame({ dst: station(1), src: station(9), tags: [{ vid: 100 }], payload: text("from the wire") }),
      );
      await until(() => guests[0].count("from the wire") === 1);
      t.is(guests[1].count("to the pod's VM") + guests[1].count("from the wire"), 0);
      t.false(outside.frames.some(({ data }) => Buffer.from(data).includes("hello")));
      t.not((await h.host.namespace.link({ name: "vm1" }))?.mac, made.mac);

      await detach("vm1/vm1");
      await detach("vm2/theirs");
      await h.del(pod);
      t.is(await h.host.namespace.link({ name: "vm1" }), null);
      t.like(await h.host.namespace.link({ name: "theirs" }), { alias: "of QEMU", mtu: 1400, up: false, master: 0 });
      t.deepEqual(
        (await pod.host.namespace.links()).map(({ name }) => name),
        ["lo"],
      );
      t.deepEqual((await h.ports()).map(({ role }) => role).toSorted(), ["uplink", "workload"]);
    },
  );
}

test.serial("KubeVirt's binding with a real dummy confuses neither CHECK nor DEL", async (t) => {
  const h = await TestHost.start(t, { intent: OOB() });
  const vm = await h.add("vm", { vlan: 100, ...staticIpam("10.100.0.11/24") });
  const { namespace } = vm.host;
  const { ifindex = 0, mac = "" } = (await namespace.link({ name: "eth0" })) ?? {};
  const address = { address: "10.100.0.11", prefixLength: 24 };
  await namespace.changeLink({ ifindex }, { up: false });
  await namespace.removeAddress({ ifindex, ...address });
  await namespace.changeLink({ ifindex }, { name: "abc-nic", mac: station(77) });
  const bridge = await namespace.createLink({ kind: "bridge", name: "k6t-abc", up: true });
  await namespace.changeLink({ ifindex }, { up: true, master: bridge.ifindex });
  const dummy = await namespace.createLink({ kind: "dummy", name: "eth0", mac });
  await namespace.addAddress({ ifindex: dummy.ifindex, ...address });
  const netconf = { ...vm.call.netconf, prevResult: vm.result };
  await runCni(h.runtime, { ...vm.call, command: "CHECK", netconf });
  await h.del(vm);
  t.deepEqual((await namespace.links()).map(({ name }) => name).toSorted(), ["eth0", "k6t-abc", "lo"]);
});
