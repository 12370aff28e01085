/**
 * TCP with the default offloads, since ping alone proves nothing: frames of 64 KiB with partial checksums go through
 * the switch, across one port pair and through two chained switches over a tagged link. And devices with high indexes.
 */
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import test, { type ExecutionContext } from "ava";
import type { Namespace } from "../../daemon/kernel/kernel.ts";
import { frame, station } from "../peers/frames.ts";
import { access, Lab, SwitchBench, trunk } from "../peers/switch-bench.ts";
import { transfer } from "../support/iperf.ts";

const run = promisify(execFile);
/** A path that loses GSO frames or checksums moves nothing, or a few segments by retransmission; an emulated CPU is slow. */
const WORKING = 10e6; // bit/s

async function speed(lab: Lab, client: string, server: string, address: string): Promise<number> {
  return (await transfer(lab.path(client), lab.path(server), address, { seconds: 1 })).bitsPerSecond;
}

async function openLab(t: ExecutionContext): Promise<{ lab: Lab; host: Namespace }> {
  const lab = await Lab.create();
  t.teardown(() => lab.close());
  return { lab, host: await lab.namespace("host") };
}
async function pod(lab: Lab, host: Namespace, name: string, address: string): Promise<number> {
  const ns = await lab.namespace(name);
  const link = await lab.veth(host, name, ns);
  await ns.addAddress({ ifindex: link.peer, address, prefixLength: 24 });
  return link.host;
}

for (const peer of [true, false]) {
  test(`TCP passes within a VLAN by ${peer ? "redirect_peer" : "redirect"}`, async (t) => {
    const { lab, host } = await openLab(t);
    const bench = await SwitchBench.load(host);
    t.teardown(() => bench.close());
    const [a, b] = [await pod(lab, host, "a", "10.9.0.1"), await pod(lab, host, "b", "10.9.0.2")];
    await bench.port(1, { ifindex: a, ...access(100), peer });
    await bench.port(2, { ifindex: b, ...access(100), peer });
    await bench.attach(a, b);
    t.true((await speed(lab, "a", "b", "10.9.0.2")) > WORKING);
    t.deepEqual((await bench.tally()).drops, {});
    const { rxPackets, rxBytes } = await bench.counters(1, 100);
    t.true(rxBytes / rxPackets > 1514, "no frame was larger than the MTU: offloads were not at work");
  });
}

test("TCP passes through two switches over a tagged link", async (t) => {
  const { lab, host } = await openLab(t);
  const bench = await SwitchBench.load(host);
  t.teardown(() => bench.close());
  const [a, b] = [await pod(lab, host, "a", "10.9.0.1"), await pod(lab, host, "b", "10.9.0.2")];
  const link = await host.createLink({ name: "left", kind: "veth", up: true, peer: { name: "right" } });
  await host.changeLink({ ifindex: link.peerIfindex }, { up: true });
  await bench.port(1, { ifindex: a, ...access(100), peer: true });
  await bench.port(2, { ifindex: link.ifindex, ...trunk("100,200"), kind: "nic", uplink: true });
  await bench.port(3, { ifindex: link.peerIfindex, ...trunk("100"), kind: "nic", uplink: true, switchId: 5 });
  await bench.port(4, { ifindex: b, ...access(100), peer: true, switchId: 5 });
  await bench.attach(a, b, link.ifindex, link.peerIfindex);
  t.true((await speed(lab, "a", "b", "10.9.0.2")) > WORKING);
  t.true((await speed(lab, "b", "a", "10.9.0.1")) > WORKING);
  t.deepEqual((await bench.tally()).drops, {});
});

test("an interface index beyond the dense map works as any", async (t) => {
  const { lab, host } = await openLab(t);
  const bench = await SwitchBench.load(host);
  t.teardown(() => bench.close());
  const link = ["link", "add", "far", "index", "70000", "type", "veth", "peer", "name", "near"];
  await run("nsenter", [`--net=${lab.path("host")}`, "ip", ...link]);
  const near = await host.link({ name: "near" });
  await bench.port(1, { ifindex: 70000, ...access(100) });
  await bench.port(2, { ifindex: near?.ifindex ?? 0, ...access(100) });
  await bench.setFdb(station(2), 100, { portId: 2 });
  t.is((await bench.run(70000, frame({ src: station(1), dst: station(2) }))).verdict, "redirect");
  t.deepEqual(await bench.tally(), { drops: {}, rx: { "1/100": 1 }, tx: { "2/100": 1 } });
});
