// A tap on the host as a port of the switch: a VM opens it, and its frames are switched like any workload's.
import { join } from "node:path";
import test from "ava";
import { call } from "../../daemon/client/call.ts";
import type { AttachmentView } from "../../daemon/api/views.ts";
import { BROADCAST, frame, station, text } from "../peers/frames.ts";
import { OOB, tap, TestHost } from "../support/test-host.ts";
import { openTap } from "../support/tap-end.ts";
import { until } from "../support/until.ts";

const NETWORK = `---
apiVersion: portwright.io/v1alpha1
kind: Network
metadata: { name: vlan100 }
spec: { clusterNetwork: oob, type: L2VlanNetwork, vlan: 100 }
`;
const INTENT = `${OOB()}${NETWORK}`;
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
