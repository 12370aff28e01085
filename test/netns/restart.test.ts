// Restart is nothing: traffic, ports, addresses and counters are the kernel's, not the daemon's.
import { execFile } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import test from "ava";
import { daemonArguments } from "../../daemon/demo/daemon-process.ts";
import { PATIENCE, until } from "../support/until.ts";
import { OOB, type Pod, staticIpam, TestHost } from "../support/test-host.ts";

const run = promisify(execFile);

interface Pings {
  readonly sent: number;
  readonly received: number;
}

/** 10 ms pings; the iputils summary is the only text there is */
async function pings(pod: Pod, address: string, count: number): Promise<Pings> {
  const args = [`--net=${pod.host.path}`, "ping", "-n", "-q", "-i", "0.01", "-c", String(count), "-W", "2", address];
  const { stdout } = await run("nsenter", args).catch((error: { stdout: string }) => error);
  const match = /(\d+) packets transmitted, (\d+) received/.exec(stdout);
  return { sent: Number(match?.[1]), received: Number(match?.[2]) };
}

async function twoPods(t: Parameters<typeof TestHost.start>[0]): Promise<{ h: TestHost; a: Pod; b: Pod }> {
  const h = await TestHost.start(t, { intent: OOB() });
  const a = await h.add("a", { vlan: 100, ...staticIpam("10.100.0.11/24") });
  const b = await h.add("b", { vlan: 100, ...staticIpam("10.100.0.12/24") });
  return { h, a, b };
}

test.serial("kill -9 and a new start lose no ping at 10 ms", async (t) => {
  const { h, a } = await twoPods(t);
  const measured = pings(a, "10.100.0.12", 400);
  await sleep(500);
  await h.daemon.kill();
  await sleep(500);
  await h.start();
  t.deepEqual(await measured, { sent: 400, received: 400 });
});

test.serial("a restarted daemon finds ports, addresses and counters as they were, and writes nothing", async (t) => {
  const { h, a } = await twoPods(t);
  t.deepEqual(await pings(a, "10.100.0.12", 20), { sent: 20, received: 20 });
  const before = await h.ports();
  const { fdb } = await h.get<{ fdb: { mac: string; device: string }[] }>("/v1/fdb");
  t.true(fdb.length >= 2);
  await h.daemon.kill();
  await h.start();
  const after = await h.ports();
  for (const port of before) {
    const found = after.find(({ device }) => device === port.device);
    t.truthy(found, port.device);
    const { portId, vlans } = found?.counters ?? {};
    t.is(portId, port.counters?.portId, `${port.device} keeps its port id`);
    const received = Number(vlans?.[0]?.rxPackets);
    t.true(received >= Number(port.counters?.vlans[0]?.rxPackets), `${port.device} keeps its counters`);
  }
  const again = await h.get<{ fdb: { mac: string; device: string }[] }>("/v1/fdb");
  for (const { mac, device } of fdb)
    t.true(
      again.fdb.some((e) => e.mac === mac && e.device === device),
      mac,
    );

  const writes = await kernelWrites(h);
  t.deepEqual(writes, { netlink: 0, bpf: 0 });
});

test.serial("a second daemon with the same directories is refused before it touches anything", async (t) => {
  const { h, a } = await twoPods(t);
  const before = await kernelWrites(h);
  const second = run(process.execPath, daemonArguments(h.paths), { timeout: 20_000 * PATIENCE });
  const error = await t.throwsAsync<Error & { code: number; stderr: string }>(second);
  t.is(error.code, 71, "EX_OSERR");
  t.regex(error.stderr, /another daemon works with .*\[DAEMON_RUNNING\]/);
  t.deepEqual(await kernelWrites(h), before);
  t.deepEqual(await pings(a, "10.100.0.12", 5), { sent: 5, received: 5 });
});

test.serial("what was attached before a crash can be detached after it, and attached anew", async (t) => {
  const { h, a, b } = await twoPods(t);
  await h.daemon.kill();
  await h.start();
  await h.del(b);
  t.is(await b.host.namespace.link({ name: "eth0" }), null);
  const again = await h.add("b", { vlan: 100, ...staticIpam("10.100.0.12/24") }, { pod: b.host });
  t.is(again.result.interfaces.length, 3);
  t.deepEqual(await pings(a, "10.100.0.12", 5), { sent: 5, received: 5 });
});

/** portwright_kernel_writes_total since the daemon's start */
async function kernelWrites(h: TestHost): Promise<{ netlink: number; bpf: number }> {
  const { http } = await h.status();
  const text = await (await fetch(`${http}/metrics`)).text();
  const of = (subsystem: string): number =>
    Number(
      new RegExp(`portwright_kernel_writes_total\\{subsystem="${subsystem}"\\} (\\d+)`).exec(text)?.[1] ?? Number.NaN,
    );
  return { netlink: of("netlink"), bpf: of("bpf") };
}

test.serial("a workload whose namespace is gone is a condition, the host stays ready, and DEL clears it", async (t) => {
  const { h, b } = await twoPods(t);
  await b.host.namespace.deleteLink({ name: "eth0" });
  const conditions = async (): Promise<string[]> => (await h.status()).conditions.map(({ object }) => object);
  await until(async () => (await conditions()).includes("Attachment/b/eth0"));
  t.true((await h.status()).ready);
  await h.del(b);
  await until(async () => (await conditions()).length === 0);
  t.false((await h.ports()).some(({ attachment }) => attachment === "b/eth0"));
});
