/** Frames put into a device as if they had come in there: who sees them, of which kind of device, in which form. */
import type { ExecutionContext } from "ava";
import test from "ava";
import type { ReceivedFrame } from "../../daemon/kernel/kernel.ts";
import { BROADCAST, frame, station } from "../peers/frames.ts";
import { access, Lab as BenchLab, SwitchBench, trunk } from "../peers/switch-bench.ts";
import { until } from "../support/until.ts";
import { openDescriptors } from "./fixtures/lab.ts";
import { ipDo, makeLab } from "./kernel-lab.ts";

const HELLO = frame({ dst: BROADCAST, src: station(1) });
const TAGGED = frame({ dst: BROADCAST, src: station(1), tags: [{ vid: 100, pcp: 3 }] });
const hex = (bytes: Uint8Array | undefined): string => Buffer.from(bytes ?? []).toString("hex");

async function quiet(t: ExecutionContext) {
  const lab = await makeLab(t);
  for (const scope of ["all", "default"]) await lab.ns.writeSysctl(`net/ipv6/conf/${scope}/disable_ipv6`, "1");
  return lab;
}

for (const kind of ["veth", "tap", "bridge"] as const) {
  test.serial(`a ${kind} receives what is put into it, tagged or not, and the other side hears nothing`, async (t) => {
    const lab = await quiet(t);
    if (kind === "veth") await ipDo(lab, ..."link add d0 type veth peer name x0".split(" "));
    if (kind === "tap") await ipDo(lab, ..."tuntap add d0 mode tap".split(" "));
    if (kind === "bridge") await ipDo(lab, ..."link add d0 type bridge".split(" "));
    await ipDo(lab, "link", "set", "d0", "up");
    if (kind === "veth") await ipDo(lab, "link", "set", "x0", "up");
    const link = await lab.ns.link({ name: "d0" });
    const ifindex = link?.ifindex ?? 0;
    const seen: ReceivedFrame[] = [];
    const other: ReceivedFrame[] = [];
    const socket = await lab.ns.openPacketSocket({ ifindex, promiscuous: true }, (frames) => seen.push(...frames));
    t.teardown(() => socket.close());
    if (kind === "veth") {
      const far = await lab.ns.link({ name: "x0" });
      const tap = await lab.ns.openPacketSocket({ ifindex: far?.ifindex ?? 0, promiscuous: true }, (frames) =>
        other.push(...frames),
      );
      t.teardown(() => tap.close());
    }
    await lab.ns.receive(ifindex, [HELLO, TAGGED]);
    await until(() => seen.length === 2);
    t.is(hex(seen[0]?.data), hex(HELLO));
    t.is(seen[0]?.packetType, 1 /* PACKET_BROADCAST: it came in */);
    t.is(seen[0]?.vlan, undefined);
    t.is(hex(seen[1]?.data), hex(HELLO), "the kernel puts the tag beside the frame");
    t.deepEqual(seen[1]?.vlan, { tpid: 0x8100, tci: (3 << 13) | 100 });
    t.deepEqual(other, []);
  });
}

test.serial("what is put into a bridge's port is switched and learned there", async (t) => {
  const lab = await quiet(t);
  await ipDo(lab, ..."link add br0 type bridge".split(" "));
  for (const name of ["p0", "p1"]) {
    await ipDo(lab, ...`link add ${name} type veth peer name x${name}`.split(" "));
    await ipDo(lab, ...`link set ${name} master br0 up`.split(" "));
    await ipDo(lab, ...`link set x${name} up`.split(" "));
  }
  await ipDo(lab, ..."link set br0 up".split(" "));
  const seen: ReceivedFrame[] = [];
  const far = await lab.ns.link({ name: "xp1" });
  const socket = await lab.ns.openPacketSocket({ ifindex: far?.ifindex ?? 0 }, (frames) => seen.push(...frames));
  t.teardown(() => socket.close());
  const port = await lab.ns.link({ name: "p0" });
  await lab.ns.receive(port?.ifindex ?? 0, [HELLO]);
  await until(() => seen.some(({ data }) => hex(data) === hex(HELLO)));
  const known = await lab.ns.neighbours(7, port?.ifindex ?? 0);
  t.true(known.some(({ mac }) => mac === station(1)));
});

test.serial("what is put into a port of the switch in BPF goes through its program", async (t) => {
  const lab = await BenchLab.create();
  t.teardown(() => lab.close());
  const ns = await lab.namespace("receive");
  const ends = [];
  for (const name of ["p1", "p2", "p3"]) {
    const made = await ns.createLink({ name, kind: "veth", up: true, peer: { name: `x${name}` } });
    await ns.changeLink({ ifindex: made.peerIfindex }, { up: true });
    ends.push(made);
  }
  const [a, b, c] = ends.map(({ ifindex }) => ifindex);
  const bench = await SwitchBench.load(ns);
  t.teardown(() => bench.close());
  await bench.port(1, { ifindex: a ?? 0, ...access(100) });
  await bench.port(2, { ifindex: b ?? 0, ...trunk("100,200") });
  await bench.port(3, { ifindex: c ?? 0, ...access(200) });
  await bench.attach(a ?? 0, b ?? 0, c ?? 0);
  await ns.receive(a ?? 0, [HELLO]);
  await until(async () => (await bench.fdbEntry(station(1), 100)) !== null);
  t.is((await bench.fdbEntry(station(1), 100))?.portId, 1);
  await ns.receive(b ?? 0, [frame({ dst: BROADCAST, src: station(2), tags: [{ vid: 200 }] })]);
  await until(async () => (await bench.fdbEntry(station(2), 200)) !== null);
  t.is((await bench.fdbEntry(station(2), 200))?.portId, 2);
  t.is(await bench.fdbEntry(station(2), 100), null);
});

test.serial("a device that is down, one that is not there and a frame that is none are errors", async (t) => {
  const { ns, ...lab } = await quiet(t);
  await ipDo({ ns, ...lab }, ..."link add d0 type veth peer name x0".split(" "));
  const down = (await ns.link({ name: "d0" }))?.ifindex ?? 0;
  await t.throwsAsync(ns.receive(down, [HELLO]), { code: "ENETDOWN" });
  await t.throwsAsync(ns.receive(4711, [HELLO]), { code: "ENODEV" });
  await t.throwsAsync(ns.receive(down, [new Uint8Array(13)]), { code: "EINVAL" });
  await t.notThrowsAsync(ns.receive(down, []));
});

test.serial("no descriptor is left of it", async (t) => {
  const { ns, ...lab } = await quiet(t);
  await ipDo({ ns, ...lab }, ..."link set lo up".split(" "));
  await ns.receive(1, [HELLO]);
  const before = openDescriptors();
  for (let i = 0; i < 50; i++) await ns.receive(1, [HELLO]);
  t.is(openDescriptors(), before);
});
