// The MTU of a cluster network has one owner: NIC, bridge, ports and both ends of every workload follow it.
import { execFile } from "node:child_process";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import test from "ava";
import { call } from "../../daemon/client/call.ts";
import type { ApplyAnswer, PlanView } from "../../daemon/model/transaction.ts";
import { OOB, type Pod, staticIpam, TestHost } from "../support/test-host.ts";
import { until } from "../support/until.ts";

const run = promisify(execFile);
const NICS = [{ name: "nic0", mtu: 9000 }];
const admin = (h: TestHost): string => join(h.directory, "run/admin.sock");
const texts = (mtu: number) => [{ file: "test.yaml", text: OOB(mtu) }];
const apply = (h: TestHost, mtu: number, options: object = {}) =>
  call<ApplyAnswer>(admin(h), { method: "POST", path: "/v1/apply", body: { texts: texts(mtu), ...options } });
const plan = (h: TestHost, mtu: number) =>
  call<PlanView>(admin(h), { method: "POST", path: "/v1/plan", body: { texts: texts(mtu) } });

/** Starts pings without fragmentation; resolves with how many were sent and came back. */
async function pings(pod: Pod, address: string, octets: number, count: number) {
  const options = ["-n", "-q", "-i", "0.01", "-c", String(count), "-W", "2", "-M", "do", "-s", String(octets - 28)];
  const args = [`--net=${pod.host.path}`, "ping", ...options, address];
  const { stdout } = await run("nsenter", args).catch((error: { stdout: string }) => error);
  const match = /(\d+) packets transmitted, (\d+) received/.exec(stdout);
  return { sent: Number(match?.[1]), received: Number(match?.[2]) };
}

async function mtus(h: TestHost, pod: Pod, name = "eth0") {
  const ports = await h.ports();
  const port = ports.find(({ attachment }) => attachment === `${pod.name}/eth0`);
  const near = await h.host.namespace.link({ name: port?.device ?? "" });
  return {
    container: (await pod.host.namespace.link({ name }))?.mtu,
    host: near?.mtu,
    port: port?.mtu,
    bridge: (await h.host.namespace.link({ name: "oob-br" }))?.mtu,
    nic: (await h.host.namespace.link({ name: "nic0" }))?.mtu,
  };
}
const all = (mtu: number) => ({ container: mtu, host: mtu, port: mtu, bridge: mtu, nic: mtu });

const attachmentMtu = async (h: TestHost, pod: Pod): Promise<number | undefined> =>
  (
    await call<{ attachments: { id: string; mtu: number }[] }>(join(h.directory, "run/read.sock"), {
      method: "GET",
      path: "/v1/attachments",
    })
  ).attachments.find(({ id }) => id === `${pod.name}/eth0`)?.mtu;

async function twoPods(t: Parameters<typeof TestHost.start>[0]): Promise<{ h: TestHost; a: Pod; b: Pod }> {
  const h = await TestHost.start(t, { intent: OOB(), nics: NICS });
  const a = await h.add("a", { vlan: 100, ...staticIpam("10.100.0.11/24") });
  const b = await h.add("b", { vlan: 100, ...staticIpam("10.100.0.12/24") });
  return { h, a, b };
}

test.serial("NIC, bridge, ports and containers grow and shrink under pings, and none is lost", async (t) => {
  const { h, a, b } = await twoPods(t);
  const small = pings(a, "10.100.0.12", 1400, 600);
  await sleep(300);
  const told = await plan(h, 9000);
  t.true(told.steps.some(({ text }) => text === "set the MTU of workload a/eth0: 1500 -> 9000"));
  t.is((await apply(h, 9000)).last?.result, "committed");
  t.deepEqual(await mtus(h, a), all(9000));
  t.deepEqual(await mtus(h, b), all(9000));
  const large = pings(b, "10.100.0.11", 9000, 50);
  t.deepEqual(await large, { sent: 50, received: 50 });
  const shrink = await apply(h, 1400);
  const mtu = shrink.steps.find(({ object, op }) => op === "set-workload-mtu" && object.startsWith("pw"));
  t.like(mtu, { impact: "blip" });
  t.is(mtu?.touches.length, 1);
  t.deepEqual(await mtus(h, a), all(1400));
  t.deepEqual(await small, { sent: 600, received: 600 });
  t.is(await attachmentMtu(h, a), 1400);
  t.is((await pings(b, "10.100.0.11", 1401, 2)).received, 0, "nothing larger leaves");
  await h.restart();
  t.deepEqual(await mtus(h, a), all(1400));
});

test.serial("an MTU that was asked for stays; when the network shrinks below it the condition says so", async (t) => {
  const h = await TestHost.start(t, { intent: OOB(9000), nics: NICS });
  const pod = await h.add("asked", { vlan: 100, mtu: 4000, ...staticIpam("10.100.0.13/24") });
  t.like(await mtus(h, pod), { container: 4000, host: 4000, port: 4000 });
  await apply(h, 8000);
  t.like(await mtus(h, pod), { container: 4000, host: 4000, port: 4000, nic: 8000 });
  t.is((await apply(h, 1500)).last?.result, "committed");
  t.deepEqual(await mtus(h, pod), all(1500));
  t.true(
    (await h.status()).conditions.some(
      ({ code, object }) => code === "MTU_TOO_LARGE" && object === "Attachment/asked/eth0",
    ),
  );
  await apply(h, 9000);
  t.like(await mtus(h, pod), { container: 4000, host: 4000, port: 4000, nic: 9000 });
});

test.serial(
  "a change that is rolled back gives containers their MTU back, also after the daemon's death",
  async (t) => {
    const { h, a } = await twoPods(t);
    t.is((await apply(h, 9000, { confirm: 2 })).phase, "waiting");
    t.deepEqual(await mtus(h, a), all(9000));
    await until(async () => (await mtus(h, a)).nic === 1500);
    await until(async () => (await h.status()).transaction.phase === "idle");
    t.deepEqual(await mtus(h, a), all(1500));

    t.is((await apply(h, 9000, { confirm: 60 })).phase, "waiting");
    t.deepEqual(await mtus(h, a), all(9000));
    await h.daemon.kill();
    await h.start();
    t.deepEqual(await mtus(h, a), all(1500));
    t.is(await attachmentMtu(h, a), 1500);
  },
);

test.serial("the container's end is found whatever it is called, and in no other namespace", async (t) => {
  const { h, a, b } = await twoPods(t);
  const eth0 = await a.host.namespace.link({ name: "eth0" });
  await a.host.namespace.changeLink({ ifindex: eth0?.ifindex ?? 0 }, { up: false });
  await a.host.namespace.changeLink({ ifindex: eth0?.ifindex ?? 0 }, { name: "eth0-nic", up: true });
  await a.host.namespace.createLink({ kind: "bridge", name: "eth0" });
  await apply(h, 9000);
  t.deepEqual(await mtus(h, a, "eth0-nic"), all(9000));
  t.is((await a.host.namespace.link({ name: "eth0" }))?.mtu, 1500, "what has the name now is not ours");
  t.deepEqual(await mtus(h, b), all(9000));
});

test.serial("a workload lowers its own MTU as it likes, until the network's changes", async (t) => {
  const { h, a } = await twoPods(t);
  await a.host.namespace.changeLink({ name: "eth0" }, { mtu: 1280 });
  await h.restart();
  await apply(h, 1500);
  t.is((await mtus(h, a)).container, 1280);
  await apply(h, 1600);
  t.deepEqual(await mtus(h, a), all(1600));
});

test.serial("a container whose namespace is not found any more keeps its MTU; the others follow", async (t) => {
  const { h, a, b } = await twoPods(t);
  await run("umount", ["-l", a.host.path]); // leaves the file that it was bound to
  t.is((await apply(h, 9000)).last?.result, "committed");
  t.deepEqual(await mtus(h, b), all(9000));
  t.is((await mtus(h, a)).container, 1500);
  const { conditions } = await h.status();
  t.true(
    conditions.some(({ code, object }) => code === "WORKLOAD_UNREACHABLE" && object === "Attachment/a/eth0"),
    JSON.stringify(conditions),
  );
});
