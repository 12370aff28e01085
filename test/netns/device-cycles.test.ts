// Ports of every kind come and go many times: nothing of them stays, in the kernel or in the daemon.
import { execFile } from "node:child_process";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import test from "ava";
import { call } from "../../daemon/client/call.ts";
import { OOB_VLAN100, TestHost } from "../support/test-host.ts";
import { until } from "../support/until.ts";

const run = promisify(execFile);
const INTENT = OOB_VLAN100();
const CYCLES = 40;

test("taps, taps in pods and devices of others leave no descriptor, program, link or port behind", async (t) => {
  const h = await TestHost.start(t, { intent: INTENT });
  const pod = await h.lab.host("pod");
  const tun = { kind: "tun", tap: { multiQueue: false, owner: null, group: null } } as const;
  await h.host.namespace.createLink({ ...tun, name: "theirs" });
  const socket = join(h.directory, "run/cni.sock");
  const requests = {
    tap: { interface: "a", device: { kind: "tap", name: "vm1" } },
    inner: { interface: "b", netns: pod.path, device: { kind: "inner-tap" } },
    existing: { interface: "c", device: { kind: "existing", name: "theirs" } },
    veth: { interface: "d", netns: pod.path },
  };
  const cycle = async (): Promise<void> => {
    for (const request of Object.values(requests)) {
      const body = { network: "vlan100", containerId: "vm", ...request };
      await call(socket, { method: "POST", path: "/v1/attachments", body });
      await call(socket, { method: "DELETE", path: `/v1/attachments/vm%2F${request.interface}` });
    }
  };
  const descriptors = () => readdirSync(`/proc/${h.daemon.pid}/fd`).length;
  const threads = () => readdirSync(`/proc/${h.daemon.pid}/task`).length;
  const links = async () =>
    [...(await h.host.namespace.links()), ...(await pod.namespace.links())].map(({ name }) => name);
  // Of the whole machine, and an error if there is none: others that are there now go, too.
  const wires = async () =>
    await run("bpftool", ["prog", "show", "name", "wire"]).then(
      ({ stdout }) => stdout.split("\n").filter((line) => line.includes(" name wire ")).length,
      () => 0,
    );
  for (let i = 0; i < 5; i++) await cycle();
  const before = { links: await links(), descriptors: descriptors(), threads: threads() };
  const programs = await wires();
  for (let i = 0; i < CYCLES; i++) await cycle();
  t.deepEqual(await links(), before.links);
  // Reapers of links, up to eight with three descriptors each, start when they are needed, and stay.
  await until(() => threads() <= before.threads + 8 && descriptors() <= before.descriptors + 24);
  await until(async () => (await wires()) <= programs);
  t.is((await h.ports()).length, 1);
});
