// ipMasq with the real daemon and frames: who is seen as whom from beyond the host, and what is left when ports go.
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import test, { type ExecutionContext } from "ava";
import { runCni } from "../../daemon/demo/container-runtime.ts";
import type { LabHost } from "../../daemon/demo/lab.ts";
import { pings } from "../support/host-network.ts";
import { OOB, type Tap, tap, TestHost } from "../support/test-host.ts";
import { until } from "../support/until.ts";

const run = promisify(execFile);
async function masqueraded(h: TestHost): Promise<readonly string[]> {
  const table = await h.host.namespace.masquerade();
  return table === null || table === "changed" ? [] : table.sources.map(({ address }) => address);
}
const NOTHING = { sources: [], subnets: [] };
const POD = (v4: string, v6: string) => ({
  vlan: 100,
  isDefaultGateway: true,
  ipMasq: true,
  ipam: { type: "static", addresses: [{ address: v4 }, { address: v6 }] },
});

/** Source and destination of what came in by IPv4. */
const ways = ({ frames }: Tap): readonly string[] =>
  frames
    .map(({ data }) => Buffer.from(data))
    .filter((frame) => frame.readUInt16BE(12) === 0x0800)
    .map((frame) => `${frame.subarray(26, 30).join(".")} ${frame.subarray(30, 34).join(".")}`);

/** The host has 192.0.2.1 towards a station that knows of no workload. */
async function withBeyond(t: ExecutionContext): Promise<{ h: TestHost; beyond: LabHost }> {
  const h = await TestHost.start(t, { intent: OOB() });
  const beyond = await h.lab.host("beyond");
  const cable = await h.lab.cable({ host: h.host, interface: "out0" }, { host: beyond, interface: "eth0" });
  const ends = [
    { namespace: h.host.namespace, ifindex: cable.a, last: 1 },
    { namespace: beyond.namespace, ifindex: cable.b, last: 2 },
  ];
  for (const { namespace, ifindex, last } of ends) {
    await namespace.addAddress({ ifindex, address: `192.0.2.${last}`, prefixLength: 24 });
    await namespace.addAddress({ ifindex, address: `2001:db8::${last}`, prefixLength: 64, noDad: true });
  }
  return { h, beyond };
}

test("the workload is seen from beyond with the host's address, in both families", async (t) => {
  const { h, beyond } = await withBeyond(t);
  const plain = await h.add("plain", { ...POD("10.1.0.8/24", "fd01::8/64"), ipMasq: false });
  t.false(await pings(plain.host, "192.0.2.2"), "nobody beyond has a way back to its address");
  const pod = await h.add("pod", POD("10.1.0.9/24", "fd01::9/64"));
  const seen = await tap(t, beyond, "eth0");
  t.true(await pings(pod.host, "192.0.2.2"));
  t.true(await pings(pod.host, "2001:db8::2"));
  await until(() => ways(seen).length > 0);
  t.deepEqual(ways(seen), ["192.0.2.1 192.0.2.2"]);
  await runCni(h.runtime, { ...pod.call, command: "CHECK", netconf: { ...pod.call.netconf, prevResult: pod.result } });
});

test("what stays in the workload's subnet keeps its address, though the host routes it", async (t) => {
  const { h } = await withBeyond(t);
  const pod = await h.add("pod", POD("10.1.0.9/24", "fd01::9/64"));
  const other = await h.add("other", { ...POD("10.1.1.9/24", "fd02::9/64"), vlan: 200 });
  // A subnet around theirs is its own workload's alone.
  const ipam = { type: "static", addresses: [{ address: "10.1.9.9/16", gateway: "10.1.9.1" }] };
  const wide = await h.add("wide", { vlan: 300, isGateway: true, ipMasq: true, ipam });
  await run("nsenter", [`--net=${wide.host.path}`, "ip", "route", "add", "10.1.1.9/32", "via", "10.1.9.1"]);
  // The host's route to a part of the subnet: what the workload sends there by its gateway is its subnet's still.
  await run("nsenter", [`--net=${other.host.path}`, "ip", "address", "add", "10.1.0.77/32", "dev", "eth0"]);
  await run("nsenter", [`--net=${h.host.path}`, "ip", "route", "add", "10.1.0.77/32", "via", "10.1.1.9"]);
  await run("nsenter", [`--net=${pod.host.path}`, "ip", "route", "add", "10.1.0.77/32", "via", "10.1.0.1"]);
  const seen = await tap(t, other.host, "eth0");
  t.true(await pings(pod.host, "10.1.0.77"));
  t.true(await pings(pod.host, "10.1.1.9"));
  t.true(await pings(wide.host, "10.1.1.9"));
  await until(() => ways(seen).length >= 3);
  t.deepEqual(ways(seen), ["10.1.0.9 10.1.0.77", "10.1.1.1 10.1.1.9", "10.1.9.9 10.1.1.9"]);
});

test("the address goes with the port: also of a container that is gone, and of a daemon that was killed", async (t) => {
  const { h } = await withBeyond(t);
  const gone = await h.add("gone", POD("10.1.0.9/24", "fd01::9/64"));
  const stays = await h.add("stays", POD("10.1.0.10/24", "fd01::10/64"));
  t.is((await masqueraded(h)).length, 4);
  await runCni(h.runtime, { ...gone.call, command: "DEL", netnsPath: "" });
  t.deepEqual([...(await masqueraded(h))].sort(), ["10.1.0.10", "fd01::10"]);
  process.kill(h.daemon.pid, "SIGKILL");
  await h.daemon.stop();
  const left = [{ address: "10.1.0.99", prefixLength: 24 }];
  await h.host.namespace.changeMasquerade({ sources: left, subnets: [] }, NOTHING);
  await h.start();
  await until(async () => !(await masqueraded(h)).includes("10.1.0.99"));
  t.is((await masqueraded(h)).length, 2);
  await h.host.namespace.replaceMasquerade(NOTHING);
  const again = await h.add("again", POD("10.1.0.11/24", "fd01::11/64"));
  t.is((await masqueraded(h)).length, 4, "a flushed table is made anew, for all");
  await h.del(again);
  await h.del(stays);
  t.deepEqual(await masqueraded(h), []);
  await h.restart();
  t.is(await h.host.namespace.masquerade(), null, "an empty table does not outlive the next round");
});
