/**
 * Real frames over veths: raw sockets send them, raw sockets receive them, and the octets on the wire are compared. The
 * tag is in the skb's metadata here, as it is in life, which BPF_PROG_TEST_RUN cannot show.
 */
import { setTimeout as sleep } from "node:timers/promises";
import test, { type ExecutionContext } from "ava";
import type { Namespace } from "../../daemon/kernel/kernel.ts";
import {
  BROADCAST,
  ETH_P_ARP,
  arpRequest,
  filler,
  frame,
  type FrameSpec,
  station,
  TPID_8021AD,
} from "../peers/frames.ts";
import { access, Lab, SwitchBench, trunk } from "../peers/switch-bench.ts";
import { until } from "../support/until.ts";
import { onWire, WireStation } from "../peers/wire.ts";

/** Port ids, which are also the numbers of the stations' addresses. */
const ID = { a: 1, b: 2, c: 3, t: 4, u: 5, n: 6, x: 7, y: 8 } as const;
type Name = keyof typeof ID;
const NAMES = Object.keys(ID) as Name[];

let lab: Lab;
let host: Namespace;
const stations = new Map<Name, WireStation>();

test.before(async () => {
  lab = await Lab.create();
  host = await lab.namespace("host");
  for (const name of NAMES) stations.set(name, await WireStation.join(lab, host, name, 9000));
});
test.after.always(async () => {
  for (const it of stations.values()) await it.close();
  await lab?.close();
});

function at(name: Name): WireStation {
  const it = stations.get(name);
  if (it === undefined) throw new Error(`no station ${name}`);
  return it;
}
function mac(name: Name): string {
  return station(ID[name]);
}

/**
 * a, b: VLAN 100. c: VLAN 200. t: trunk 100, 200, no native VLAN. u: trunk 100, 200, native 300. n: VLAN 300.
 * x, y: VLAN 100 of another switch. Ports of workloads deliver by redirect_peer, trunks by redirect.
 */
async function openSwitch(
  t: ExecutionContext,
  { peer = true, mtu = 1500, changeType = false } = {},
): Promise<SwitchBench> {
  const bench = await SwitchBench.load(host, {}, changeType || undefined);
  t.teardown(() => bench.close());
  const veth = { kind: "veth", peer, mtu } as const;
  const nic = { kind: "nic", uplink: true, mtu } as const;
  await bench.port(ID.a, { ifindex: at("a").port, ...access(100), ...veth });
  await bench.port(ID.b, { ifindex: at("b").port, ...access(100), ...veth });
  await bench.port(ID.c, { ifindex: at("c").port, ...access(200), ...veth });
  await bench.port(ID.t, { ifindex: at("t").port, ...trunk("100,200"), ...nic });
  await bench.port(ID.u, { ifindex: at("u").port, ...trunk("100,200", 300), ...nic });
  await bench.port(ID.n, { ifindex: at("n").port, ...access(300), ...veth });
  await bench.port(ID.x, { ifindex: at("x").port, ...access(100), ...veth, switchId: 1 });
  await bench.port(ID.y, { ifindex: at("y").port, ...access(100), ...veth, switchId: 1 });
  const homes: readonly [Name, number][] = [
    ["a", 100],
    ["b", 100],
    ["c", 200],
    ["n", 300],
    ["t", 100],
    ["t", 200],
    ["u", 100],
    ["u", 200],
    ["u", 300],
  ];
  for (const [name, vid] of homes) await bench.setFdb(mac(name), vid, { portId: ID[name] });
  await bench.attach(...NAMES.map((name) => at(name).port));
  for (const name of NAMES) at(name).take();
  return bench;
}

type Form = Pick<FrameSpec, "tags">;
const plain: Form = {};
const q = (vid: number, pcp = 0, dei = false) => ({ vid, pcp, dei });
const ad = (vid: number) => ({ vid, tpid: TPID_8021AD });

/** Sends one frame and holds what every station received against `expected`: nothing more, nothing less. */
async function expectWire(
  t: ExecutionContext,
  from: Name,
  dst: string,
  sent: Form,
  expected: Partial<Record<Name, Form>>,
  payload = filler(100),
): Promise<void> {
  const build = (form: Form): Uint8Array => frame({ dst, src: mac(from), payload, ...form });
  await at(from).send(build(sent));
  const receivers = Object.keys(expected) as Name[];
  await until(() => receivers.every((name) => at(name).waiting > 0));
  await sleep(30); // for what must not come
  const got = NAMES.map((name) => [name, at(name).take().map(onWire)] as const).filter(([, list]) => list.length > 0);
  const want = NAMES.filter((name) => expected[name]).map(
    (name) => [name, [hex(build(expected[name] ?? plain))]] as const,
  );
  t.deepEqual(Object.fromEntries(got), Object.fromEntries(want));
}
function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}

for (const peer of [true, false]) {
  const by = peer ? "redirect_peer" : "redirect";
  test.serial(`known unicast keeps to its VLAN and takes the form of the port (${by})`, async (t) => {
    await openSwitch(t, { peer });
    await expectWire(t, "a", mac("b"), plain, { b: plain });
    await expectWire(t, "a", mac("t"), plain, { t: { tags: [q(100)] } });
    await expectWire(t, "t", mac("a"), { tags: [q(100)] }, { a: plain });
    await expectWire(t, "t", mac("c"), { tags: [q(200)] }, { c: plain });
    await expectWire(t, "t", mac("u"), { tags: [q(200)] }, { u: { tags: [q(200)] } });
    await expectWire(t, "a", mac("b"), { tags: [q(100, 3)] }, { b: plain });
  });

  test.serial(
    `the native VLAN is untagged both ways, and tagged on a port where it is not native (${by})`,
    async (t) => {
      const bench = await openSwitch(t, { peer });
      await expectWire(t, "u", mac("n"), plain, { n: plain });
      await expectWire(t, "n", mac("u"), plain, { u: plain });
      await expectWire(t, "u", mac("n"), { tags: [q(300, 6)] }, { n: plain });
      await bench.port(ID.t, { ifindex: at("t").port, ...trunk("100,300") });
      await bench.setFdb(mac("t"), 300, { portId: ID.t });
      await expectWire(t, "u", mac("t"), plain, { t: { tags: [q(300)] } });
      await expectWire(t, "t", mac("u"), { tags: [q(300, 2)] }, { u: plain });
    },
  );

  test.serial(`802.1ad frames pass whole in both forms, with the tags inside (${by})`, async (t) => {
    await openSwitch(t, { peer });
    for (const tags of [[ad(100)], [ad(4000), q(200)], [ad(7), q(9, 5), q(10)]]) {
      await expectWire(t, "a", mac("b"), { tags }, { b: { tags } });
      await expectWire(t, "a", mac("t"), { tags }, { t: { tags: [q(100), ...tags] } });
      await expectWire(t, "t", mac("a"), { tags: [q(100), ...tags] }, { a: { tags } });
    }
  });

  test.serial(`of two 802.1Q tags only the outer is the switch's (${by})`, async (t) => {
    await openSwitch(t, { peer });
    await expectWire(t, "t", mac("u"), { tags: [q(100), q(200, 1)] }, { u: { tags: [q(100), q(200, 1)] } });
    await expectWire(t, "t", mac("a"), { tags: [q(100), q(200, 1)] }, { a: { tags: [q(200, 1)] } });
    await expectWire(t, "a", mac("t"), { tags: [q(100), q(200, 1)] }, { t: { tags: [q(100), q(200, 1)] } });
  });
}

test.serial("priority and drop eligibility survive wherever the frame leaves tagged", async (t) => {
  await openSwitch(t);
  await expectWire(t, "t", mac("u"), { tags: [q(100, 5, true)] }, { u: { tags: [q(100, 5, true)] } });
  await expectWire(t, "a", mac("t"), { tags: [q(0, 5, true)] }, { t: { tags: [q(100, 5, true)] } });
  await expectWire(t, "a", mac("t"), { tags: [q(0)] }, { t: { tags: [q(100)] } });
  await expectWire(t, "a", mac("b"), { tags: [q(0, 5, true)] }, { b: plain });
  await expectWire(t, "a", mac("t"), { tags: [q(100, 7, true)] }, { t: { tags: [q(100, 7, true)] } });
});

test.serial("a broadcast reaches each member of its VLAN once, in its form", async (t) => {
  const bench = await openSwitch(t);
  await expectWire(t, "a", BROADCAST, plain, { b: plain, t: { tags: [q(100)] }, u: { tags: [q(100)] } });
  await expectWire(t, "t", BROADCAST, { tags: [q(100, 4)] }, { a: plain, b: plain, u: { tags: [q(100, 4)] } });
  await expectWire(t, "t", BROADCAST, { tags: [q(200)] }, { c: plain, u: { tags: [q(200)] } });
  await expectWire(t, "u", BROADCAST, plain, { n: plain });
  await expectWire(t, "x", BROADCAST, plain, { y: plain });
  const priority = { tags: [q(100, 5)] };
  await expectWire(t, "a", BROADCAST, { tags: [q(0, 5)] }, { b: plain, t: priority, u: priority });
  t.deepEqual((await bench.tally()).drops, {});
});

test.serial("an unknown destination is asked for everywhere, with tags inside left alone", async (t) => {
  await openSwitch(t);
  const unknown = station(99);
  const inner = [q(200, 1)];
  const tagged = { tags: [q(100), ...inner] };
  await expectWire(t, "t", unknown, tagged, { a: { tags: inner }, b: { tags: inner }, u: tagged });
  const provider = [ad(5), q(6)];
  const outer = { tags: [q(100), ...provider] };
  await expectWire(t, "a", unknown, { tags: provider }, { b: { tags: provider }, t: outer, u: outer });
});

test.serial("two switches with one VLAN and one address do not meet", async (t) => {
  const bench = await openSwitch(t);
  await bench.setFdb(mac("b"), (1 << 12) | 100, { portId: ID.y });
  await expectWire(t, "a", mac("b"), plain, { b: plain });
  await expectWire(t, "x", mac("b"), plain, { y: plain });
  await expectWire(t, "x", mac("t"), plain, { y: plain });
});

test.serial("an ARP request teaches where to answer", async (t) => {
  const bench = await openSwitch(t);
  await bench.sweep({ statics: true });
  const payload = arpRequest(mac("a"), "10.0.0.1", "10.0.0.2");
  await at("a").send(frame({ dst: BROADCAST, src: mac("a"), etherType: ETH_P_ARP, payload }));
  await until(() => at("b").waiting > 0 && at("t").waiting > 0 && at("u").waiting > 0);
  for (const name of NAMES) at(name).take();
  await expectWire(t, "t", mac("a"), { tags: [q(100)] }, { a: plain });
});

test.serial("a jumbo frame passes between jumbo ports, and redirect_peer gets none past an MTU", async (t) => {
  const bench = await openSwitch(t, { mtu: 9000 });
  const big = filler(8900); // beyond a page: only the Ethernet header is in the skb's linear part
  await expectWire(t, "a", mac("b"), plain, { b: plain }, big);
  await expectWire(t, "t", mac("a"), { tags: [q(100)] }, { a: plain }, big);
  await expectWire(t, "a", mac("t"), plain, { t: { tags: [q(100)] } }, big);
  await expectWire(t, "a", mac("t"), { tags: [ad(3)] }, { t: { tags: [q(100), ad(3)] } }, big);
  await expectWire(t, "a", BROADCAST, plain, { b: plain, t: { tags: [q(100)] }, u: { tags: [q(100)] } }, big);
  await bench.port(ID.b, { ifindex: at("b").port, ...access(100), kind: "veth", peer: true, mtu: 1500 });
  await expectWire(t, "a", mac("b"), plain, {}, filler(4000));
  await expectWire(t, "a", BROADCAST, plain, { t: { tags: [q(100)] }, u: { tags: [q(100)] } }, filler(4000));
  t.deepEqual((await bench.tally()).drops, { "2/mtu": 2 });
  await expectWire(t, "a", mac("b"), plain, { b: plain }, filler(1500));
});

test.serial("what is refused is refused on the wire too, and counted once", async (t) => {
  const bench = await openSwitch(t);
  await expectWire(t, "t", mac("a"), plain, {});
  await expectWire(t, "t", mac("a"), { tags: [q(0, 7)] }, {});
  await expectWire(t, "t", mac("a"), { tags: [q(4095)] }, {});
  await expectWire(t, "t", mac("a"), { tags: [q(300)] }, {});
  await expectWire(t, "a", mac("c"), { tags: [q(200)] }, {});
  await expectWire(t, "t", mac("a"), { tags: [ad(100)] }, {});
  await at("a").send(frame({ dst: mac("b"), src: "03:00:00:00:00:01" }));
  await until(async () => (await bench.tally()).drops["1/bad_source"] === 1);
  t.deepEqual((await bench.tally()).drops, {
    "4/untagged": 3,
    "4/reserved_vid": 1,
    "4/vlan_not_allowed": 1,
    "1/vlan_not_allowed": 1,
    "1/bad_source": 1,
  });
  t.is(at("b").waiting, 0);
});

test.serial("reserved addresses reach the host's stack, and nothing else does", async (t) => {
  await openSwitch(t);
  const seen: string[] = [];
  const ETH_P_LLDP = 0x88cc;
  // A socket of one protocol sits behind the hook; one of all protocols would sit before it.
  const socket = await host.openPacketSocket({ ifindex: at("t").port, protocol: ETH_P_LLDP }, (frames) => {
    seen.push(...frames.map(({ data }) => hex(data.subarray(0, 6))));
  });
  t.teardown(() => socket.close());
  const payload = filler(46);
  for (const dst of [BROADCAST, mac("a"), "01:80:c2:00:00:10", "01:80:c2:00:00:0e"]) {
    await at("t").send(frame({ dst, src: mac("t"), etherType: ETH_P_LLDP, payload, tags: [q(100)] }));
  }
  await at("t").send(frame({ dst: "01:80:c2:00:00:02", src: mac("t"), etherType: ETH_P_LLDP, payload }));
  await until(() => seen.length >= 1);
  await sleep(30);
  // The tagged one is for VLAN 100 of the host, which has no such device: the kernel makes it nobody's.
  t.deepEqual(
    seen.filter((dst) => !dst.startsWith("0180c200000")),
    [],
  );
  t.true(seen.includes("0180c2000002"));
  for (const name of NAMES) at(name).take();
});

for (const changeType of [false, true]) {
  const how = changeType ? "with bpf_skb_change_type, as below 6.15" : "as this kernel needs it";
  test.serial(`a workload takes unicast for its own and floods for what they are (${how})`, async (t) => {
    await openSwitch(t, { changeType });
    const HOST = 0; // PACKET_*, uapi/linux/if_packet.h
    const types = async (dst: string): Promise<number[]> => {
      await at("a").send(frame({ dst, src: mac("a") }));
      await until(() => at("b").waiting > 0);
      const frames = at("b").take();
      await sleep(10);
      for (const name of NAMES) at(name).take();
      return frames.map(({ packetType }) => packetType);
    };
    t.deepEqual(await types(mac("b")), [HOST]);
    t.deepEqual(await types(BROADCAST), [1]);
    t.deepEqual(await types("01:00:5e:00:00:05"), [2]);
    t.deepEqual(await types(station(99)), [3]);
  });
}

test.serial("every VLAN of a trunk is counted in a slot of its own", async (t) => {
  const bench = await openSwitch(t);
  const vids = [1, 63, 64, 65, 127, 128, 1000, 4094];
  const wide = trunk(`${vids.join(",")},2000-2100`);
  await bench.port(ID.t, { ifindex: at("t").port, ...wide });
  await bench.port(ID.u, { ifindex: at("u").port, ...wide });
  for (const vid of vids) {
    await bench.setFdb(mac("u"), vid, { portId: ID.u });
    await expectWire(t, "t", mac("u"), { tags: [q(vid)] }, { u: { tags: [q(vid)] } }, filler(vid === 64 ? 300 : 100));
  }
  const tally = await bench.tally();
  t.deepEqual(tally.rx, Object.fromEntries(vids.map((vid) => [`4/${vid}`, 1])));
  t.deepEqual(tally.tx, Object.fromEntries(vids.map((vid) => [`5/${vid}`, 1])));
  // Bytes: Ethernet header and payload, no 802.1Q tag.
  t.deepEqual(await bench.bytes(ID.t, 63), { rx: 114, tx: 0 });
  t.deepEqual(await bench.bytes(ID.u, 64), { rx: 0, tx: 314 });
});

test.serial("bytes are the same in every form, and an 802.1ad tag counts", async (t) => {
  const bench = await openSwitch(t);
  await expectWire(t, "a", mac("t"), plain, { t: { tags: [q(100)] } });
  await expectWire(t, "t", mac("b"), { tags: [q(100)] }, { b: plain });
  t.deepEqual(await bench.bytes(ID.a, 100), { rx: 114, tx: 0 });
  t.deepEqual(await bench.bytes(ID.t, 100), { rx: 114, tx: 114 });
  t.deepEqual(await bench.bytes(ID.b, 100), { rx: 0, tx: 114 });
  await expectWire(t, "a", mac("t"), { tags: [ad(9)] }, { t: { tags: [q(100), ad(9)] } });
  t.deepEqual(await bench.bytes(ID.a, 100), { rx: 114 + 118, tx: 0 });
  t.deepEqual(await bench.bytes(ID.t, 100), { rx: 114, tx: 114 + 118 });
});
