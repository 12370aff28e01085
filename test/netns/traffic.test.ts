// Frames of every size and kind of destination, through the daemon's switch, on real interfaces.
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import test from "ava";
import { BROADCAST, frame, station, text } from "../peers/frames.ts";
import { until } from "../support/until.ts";
import { OOB, type Pod, staticIpam, tap, type Tap, TestHost } from "../support/test-host.ts";

const run = promisify(execFile);

/** one echo of so many octets that may not be fragmented */
async function pings(pod: Pod, address: string, octets: number): Promise<boolean> {
  const args = ["ping", "-n", "-q", "-c", "1", "-W", "2", "-M", "do", "-s", String(octets), address];
  return await run("nsenter", [`--net=${pod.host.path}`, ...args]).then(
    () => true,
    () => false,
  );
}

function count(at: Tap, payload: string): number {
  return at.frames.filter(({ data }) => Buffer.from(data).includes(payload)).length;
}

test("jumbo frames pass between pods and to the wire; a pod of a smaller MTU gets none of them", async (t) => {
  const h = await TestHost.start(t, { intent: OOB(9000), nics: [{ name: "nic0", mtu: 9000 }] });
  const a = await h.add("a", staticIpam("10.1.0.11/24"));
  await h.add("b", staticIpam("10.1.0.12/24"));
  await h.add("small", { mtu: 1500, ...staticIpam("10.1.0.13/24") });
  const wire = await h.wire.namespace.link({ name: "nic0" });
  await h.wire.namespace.addAddress({ ifindex: wire?.ifindex ?? 0, address: "10.1.0.1", prefixLength: 24 });

  t.is(a.result.interfaces[2]?.mtu, 9000);
  t.true(await pings(a, "10.1.0.12", 8972), "pod to pod, 9000 octets of IP");
  t.true(await pings(a, "10.1.0.1", 8972), "pod to the wire, 9000 octets of IP");
  t.true(await pings(a, "10.1.0.13", 1472), "1500 octets of IP fit the small pod");
  t.false(await pings(a, "10.1.0.13", 4000), "4000 do not");
  const small = (await h.ports()).find(({ attachment }) => attachment === "small/eth0");
  t.true(Number(small?.counters?.drops["mtu"]) > 0, "and are counted");
});

test("known unicast goes straight into the pod: the host's end of its veth sends nothing (bpf_redirect_peer)", async (t) => {
  const h = await TestHost.start(t, { intent: OOB() });
  const [a, b] = [await h.add("a", { vlan: 100 }), await h.add("b", { vlan: 100 })];
  const [atA, atB] = [await tap(t, a.host, "eth0"), await tap(t, b.host, "eth0")];
  await atB.send(frame({ dst: BROADCAST, src: station(2), payload: text("here") }));
  await until(() => count(atA, "here") === 1);
  const sentByHost = async (): Promise<number> =>
    (await h.host.namespace.link({ name: b.result.interfaces[1]?.name ?? "" }))?.stats.txPackets ?? -1;
  // A pod's own IPv6 stack may say something to all meanwhile, which is flooded: then the burst is sent again.
  let due = 0;
  await until(async () => {
    const before = await sentByHost();
    due += 50;
    for (let i = 0; i < 50; i++) await atA.send(frame({ dst: station(2), src: station(1), payload: text("direct") }));
    await until(() => count(atB, "direct") === due);
    return (await sentByHost()) === before;
  });
  t.is(count(atB, "direct"), due);
});

test("broadcast reaches each port of its VLAN once, the wire too, and the sender not at all", async (t) => {
  const h = await TestHost.start(t, { intent: OOB() });
  const pods = await Promise.all(Array.from({ length: 8 }, (_, n) => h.add(`p${n}`, { vlan: 100 })));
  const stranger = await h.add("stranger", { vlan: 200 });
  const taps = await Promise.all(pods.map((pod) => tap(t, pod.host, "eth0")));
  const [outside, wire] = [await tap(t, stranger.host, "eth0"), await tap(t, h.wire, "nic0")];
  const [sender, ...others] = taps as [Tap, ...Tap[]];

  for (let i = 0; i < 50; i++) await sender.send(frame({ dst: BROADCAST, src: station(1), payload: text("to all") }));
  await until(() => others.every((at) => count(at, "to all") === 50) && count(wire, "to all") === 50);
  t.deepEqual([count(sender, "to all"), count(outside, "to all")], [0, 0]);
});

test("isolated ports reach the wire and no other isolated port", async (t) => {
  const h = await TestHost.start(t, { intent: OOB() });
  const isolated = { vlan: 100, portIsolation: true };
  const [a, b] = [await h.add("a", isolated), await h.add("b", isolated)];
  const open = await h.add("open", { vlan: 100 });
  const [atA, atB] = [await tap(t, a.host, "eth0"), await tap(t, b.host, "eth0")];
  const [atOpen, wire] = [await tap(t, open.host, "eth0"), await tap(t, h.wire, "nic0")];

  await atB.send(frame({ dst: BROADCAST, src: station(2), payload: text("from b") }));
  await atA.send(frame({ dst: BROADCAST, src: station(1), payload: text("from a") }));
  await atA.send(frame({ dst: station(2), src: station(1), payload: text("a to b") })); // known by now
  await atA.send(frame({ dst: BROADCAST, src: station(1), payload: text("last") }));
  await until(() => count(wire, "last") === 1 && count(atOpen, "last") === 1 && count(atOpen, "from b") === 1);
  t.deepEqual([count(atB, "from a"), count(atB, "a to b"), count(atB, "last"), count(atA, "from b")], [0, 0, 0, 0]);
  const port = (await h.ports()).find(({ attachment }) => attachment === "b/eth0");
  t.true(Number(port?.counters?.drops["isolated"]) >= 2);
});

test("what a restart, a reload and a detached neighbour do not touch keeps flowing: 1000 frames, none lost", async (t) => {
  const h = await TestHost.start(t, { intent: OOB() });
  const [a, b] = [await h.add("a", { vlan: 100 }), await h.add("b", { vlan: 100 })];
  const other = await h.add("other", { vlan: 100 });
  const [atA, atB] = [await tap(t, a.host, "eth0"), await tap(t, b.host, "eth0")];
  await atB.send(frame({ dst: BROADCAST, src: station(2), payload: text("here") }));
  await until(() => count(atA, "here") === 1);

  const meanwhile = (async () => {
    process.kill(h.daemon.pid, "SIGHUP");
    await h.del(other);
    await h.restart();
    await h.add("newcomer", { vlan: 100 });
  })();
  let sent = 0;
  let over = false;
  const finished = meanwhile.finally(() => {
    over = true;
  });
  while (!over || sent < 1000) {
    await atA.send(frame({ dst: station(2), src: station(1), payload: text(`frame ${sent++} `) }));
    if (sent > 200_000) break;
  }
  await finished;
  await until(() => count(atB, `frame ${sent - 1} `) === 1);
  t.is(count(atB, "frame "), sent);
});
