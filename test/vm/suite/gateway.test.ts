// Gateways of workloads where the kernel's bridge switches: an 802.1Q device on the bridge instead of a pair; and
// masquerading by Debian's kernels.
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import test from "ava";
import { runCni } from "../../../daemon/demo/container-runtime.ts";
import type { LabHost } from "../../../daemon/demo/lab.ts";
import { pings } from "../../support/host-network.ts";
import { OOB, type Pod, type Tap, staticIpam, tap, TestHost } from "../../support/test-host.ts";
import { until } from "../../support/until.ts";

const run = promisify(execFile);
const inside = async ({ path }: LabHost, ...command: string[]) =>
  (await run("nsenter", [`--net=${path}`, ...command])).stdout.trim();
const BR_STATE_FORWARDING = 3; // uapi/linux/if_bridge.h
const IF_OPER_UP = 6; // uapi/linux/if.h
const dual = (v4: string, v6: string) => ({ ipam: { type: "static", addresses: [{ address: v4 }, { address: v6 }] } });
/** An emulated machine may take more than a second for it. */
const reaches = (from: LabHost, address: string) => pings(from, address, 5);
const check = (h: TestHost, { call, result }: Pod) =>
  runCni(h.runtime, { ...call, command: "CHECK", netconf: { ...call.netconf, prevResult: result } });
const deviceOf = (h: TestHost, name: string) => h.host.namespace.link({ name });

async function addresses(h: TestHost, name: string): Promise<readonly string[]> {
  const link = await deviceOf(h, name);
  const all = link === null ? [] : await h.host.namespace.addresses(link.ifindex);
  return all.filter(({ family }) => family === 4).map((one) => `${one.address}/${one.prefixLength}`);
}

test.serial(
  "a gateway on the bridge is up when the ADD answers, routes, and goes with the last port of its VLAN",
  async (t) => {
    const h = await TestHost.start(t, { intent: OOB(), datapath: "bridge" });
    const pod = await h.add("pod", { vlan: 100, isDefaultGateway: true, ...dual("10.1.0.9/24", "fd01::9/64") });
    const port = await deviceOf(h, pod.result.interfaces[1]?.name ?? "");
    t.is(port?.memberData["state"], BR_STATE_FORWARDING, "at once");
    t.is((await deviceOf(h, "oob-br.100"))?.operState, IF_OPER_UP, "at once");
    t.true(await reaches(pod.host, "10.1.0.1"));
    t.true(await reaches(pod.host, "fd01::1"), "without duplicate address detection");
    t.like(await deviceOf(h, "oob-br.100"), { kind: "vlan", link: (await deviceOf(h, "oob-br"))?.ifindex });
    t.is(pod.result.interfaces[3]?.name, "oob-br.100");
    const plain = await h.add("plain", { isDefaultGateway: true, ...dual("10.2.0.9/24", "fd02::9/64") });
    t.true(await reaches(plain.host, "10.2.0.1"), "in the native VLAN");
    t.true(await reaches(plain.host, "10.1.0.9"), "across VLANs");
    t.true(await reaches(pod.host, "fd02::9"));
    const neighbour = await h.add("neighbour", { vlan: 100, ...staticIpam("10.1.0.10/24") });
    t.true(await reaches(neighbour.host, "10.1.0.1"), "whoever is in the VLAN");
    const stranger = await h.add("stranger", { vlan: 300, ...staticIpam("10.1.0.11/24") });
    t.false(await reaches(stranger.host, "10.1.0.1"), "nobody who is not");
    await check(h, pod);
    await check(h, plain);
    const before = (await deviceOf(h, "oob-br.100"))?.ifindex;
    await h.restart();
    t.is((await deviceOf(h, "oob-br.100"))?.ifindex, before, "a restart leaves it alone");
    await h.del(pod);
    await h.del(plain);
    await until(async () => (await deviceOf(h, "oob-br.100")) === null && (await deviceOf(h, "oob-br.1")) === null);
  },
);

test.serial("another subnet on the bridge's VLAN is refused, by force removed", async (t) => {
  const h = await TestHost.start(t, { intent: OOB(), datapath: "bridge" });
  const conf = { vlan: 100, isGateway: true };
  const first = await h.add("first", { ...conf, ...staticIpam("10.1.0.9/24") });
  await inside(h.host, "ip", "address", "add", "10.7.0.1/24", "dev", "oob-br.100");
  const other = { ...conf, ...staticIpam("10.2.0.9/24") };
  await t.throwsAsync(h.add("second", other), { message: /10\.1\.0\.1\/24 is there for Attachment\/first/ });
  await h.del(first);
  await t.throwsAsync(h.add("third", other), { message: /10\.7\.0\.1\/24.*forceAddress/ });
  const forced = await h.add("fourth", { ...other, forceAddress: true });
  t.deepEqual(await addresses(h, "oob-br.100"), ["10.2.0.1/24"]);
  t.true(await reaches(forced.host, "10.2.0.1"));
});

/** Source and destination of what came in by IPv4. */
const ways = ({ frames }: Tap): readonly string[] =>
  frames
    .map(({ data }) => Buffer.from(data))
    .filter((frame) => frame.readUInt16BE(12) === 0x0800)
    .map((frame) => `${frame.subarray(26, 30).join(".")} ${frame.subarray(30, 34).join(".")}`);

for (const datapath of ["ebpf", "bridge"] as const) {
  test.serial(`${datapath}: what leaves the subnet has the host's address, in both families`, async (t) => {
    const h = await TestHost.start(t, { intent: OOB(), datapath });
    const beyond = await h.lab.host("beyond");
    const cable = await h.lab.cable({ host: h.host, interface: "out0" }, { host: beyond, interface: "eth0" });
    for (const [{ namespace }, ifindex, last] of [[h.host, cable.a, 1] as const, [beyond, cable.b, 2] as const]) {
      await namespace.addAddress({ ifindex, address: `192.0.2.${last}`, prefixLength: 24 });
      await namespace.addAddress({ ifindex, address: `2001:db8::${last}`, prefixLength: 64, noDad: true });
    }
    const conf = { isDefaultGateway: true, ipMasq: true };
    const pod = await h.add("pod", { ...conf, vlan: 100, ...dual("10.1.0.9/24", "fd01::9/64") });
    const other = await h.add("other", { ...conf, vlan: 200, ...dual("10.2.0.9/16", "fd02::9/64") });
    const [seen, seenByOther] = [await tap(t, beyond, "eth0"), await tap(t, other.host, "eth0")];
    t.true(await reaches(pod.host, "192.0.2.2"));
    t.true(await reaches(pod.host, "2001:db8::2"));
    t.true(await reaches(pod.host, "10.2.0.9"), "another workload is beyond as well");
    await until(() => ways(seen).length > 0 && ways(seenByOther).length > 0);
    t.deepEqual(ways(seen), ["192.0.2.1 192.0.2.2"]);
    t.deepEqual(ways(seenByOther), ["10.2.0.1 10.2.0.9"]);
    await check(h, pod);
    const table = async () => {
      const found = await h.host.namespace.masquerade();
      return found === null || found === "changed" ? found : found.sources.map(({ address }) => address).sort();
    };
    t.deepEqual(await table(), ["10.1.0.9", "10.2.0.9", "fd01::9", "fd02::9"]);
    await runCni(h.runtime, { ...pod.call, command: "DEL", netnsPath: "" });
    t.deepEqual(await table(), ["10.2.0.9", "fd02::9"]);
    await inside(h.host, "/usr/sbin/nft", "flush", "ruleset");
    await t.throwsAsync(check(h, other), { message: /10\.2\.0\.9 is not masqueraded/ });
    const again = await h.add("again", { ...conf, vlan: 100, ...dual("10.1.0.9/24", "fd01::9/64") });
    t.true(await reaches(again.host, "192.0.2.2"), "the table is there again");
    await check(h, other);
  });
}
