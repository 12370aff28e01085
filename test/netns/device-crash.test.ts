// A daemon that is killed amid an attach or a detach: afterwards the port is there whole, or nothing of it is.
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import test from "ava";
import type { AttachmentView } from "../../daemon/api/views.ts";
import { call } from "../../daemon/client/call.ts";
import { OOB_VLAN100, TestHost, TUN } from "../support/test-host.ts";

const INTENT = OOB_VLAN100();
/** ms after the request: before it is read, in the middle, when it is all but done */
const MOMENTS = [1, 2, 3, 5, 8, 12, 25, 45];

test("a kill at any moment of an attach and of a detach leaves all of a port or nothing", async (t) => {
  const h = await TestHost.start(t, { intent: INTENT });
  const pod = await h.lab.host("pod");
  await h.host.namespace.createLink({ ...TUN, name: "theirs", alias: "of QEMU", mtu: 1400 });
  const state = async () => {
    const [host, inside] = [await h.host.namespace.links(), await pod.namespace.links()];
    const essence = ({ name, alias, up, mtu }: (typeof host)[number]) => ({ name, alias, up, mtu });
    return [...host, ...inside].map(essence).toSorted((a, b) => (a.name < b.name ? -1 : 1));
  };
  const empty = await state();
  const requests = [
    { containerId: "vm1", device: { kind: "tap", name: "vm1" } },
    { containerId: "vm2", device: { kind: "existing", name: "theirs" } },
    { containerId: "vm3", interface: "eth0", netns: pod.path, device: { kind: "inner-tap" } },
    { containerId: "vm4", interface: "eth1", netns: pod.path },
  ].map((body) => ({ network: "vlan100", ...body }));
  const socket = join(h.directory, "run/cni.sock");
  const attachAll = () =>
    Promise.allSettled(requests.map((body) => call(socket, { method: "POST", path: "/v1/attachments", body })));
  const listed = async () => (await h.get<{ attachments: AttachmentView[] }>("/v1/attachments")).attachments;
  const detachAll = async () => {
    const paths = (await listed()).map(({ id }) => `/v1/attachments/${encodeURIComponent(id)}`);
    return await Promise.allSettled(paths.map((path) => call(socket, { method: "DELETE", path })));
  };
  const outcomes = new Set<number>();
  for (const moment of MOMENTS) {
    const attaching = attachAll();
    await sleep(moment);
    await h.daemon.kill();
    await attaching;
    await h.start();
    const attached = await listed();
    outcomes.add(attached.length);
    t.true(attached.every(({ state: one }) => one === "ready"));
    const ports = (await h.ports()).flatMap(({ attachment, attached: hooked }) => (hooked ? attachment || [] : []));
    t.deepEqual(ports.toSorted(), attached.map(({ id }) => id).toSorted(), `killed ${moment} ms after the attach`);
    await attachAll();
    t.is((await listed()).length, requests.length);

    const detaching = detachAll();
    await sleep(moment);
    await h.daemon.kill();
    await detaching;
    await h.start();
    await detachAll();
    t.deepEqual(await state(), empty, `killed ${moment} ms after the detach`);
    t.is((await h.ports()).length, 1);
  }
  t.log(`attached after a kill: ${[...outcomes].join(", ")}`);
});
