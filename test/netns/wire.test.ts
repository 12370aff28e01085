// What is on the cable between host and switch, octet by octet: the switch is played by raw packet sockets, so that a
// mistake of ours cannot be undone by the same mistake at the other end.
import test from "ava";
import { BROADCAST, ETH_P_TEST, frame, station, TPID_8021AD, type Tag, text } from "../peers/frames.ts";
import { until } from "../support/until.ts";
import { OOB, tap, type Tap, TestHost } from "../support/test-host.ts";

const host = (t: Parameters<typeof TestHost.start>[0]): Promise<TestHost> => TestHost.start(t, { intent: OOB() });

/** the tags that frames with this payload came with; [] is untagged */
function seen(at: Tap, payload: string): (number | "untagged")[] {
  const wanted = Buffer.from(text(payload));
  return at.frames
    .filter(({ data }) => Buffer.from(data).includes(wanted))
    .map(({ vlan }) => (vlan ? vlan.tci : "untagged"));
}

function testFrame(payload: string, tags: readonly Tag[] = [], dst = BROADCAST, src = station(1)): Uint8Array {
  return frame({ dst, src, tags, etherType: ETH_P_TEST, payload: text(payload) });
}

test("an access port's frame leaves the NIC with its VLAN's tag, and a tagged one comes in without", async (t) => {
  const h = await host(t);
  const pod = await h.add("pod", { vlan: 100 });
  const wire = await tap(t, h.wire, "nic0");
  const inside = await tap(t, pod.host, "eth0");

  await inside.send(testFrame("up"));
  await until(() => seen(wire, "up").length > 0);
  t.deepEqual(seen(wire, "up"), [100]);

  await wire.send(testFrame("down", [{ vid: 100 }], BROADCAST, station(2)));
  await until(() => seen(inside, "down").length > 0);
  t.deepEqual(seen(inside, "down"), ["untagged"]);
});

test("frames of other VLANs, of VID 4095 and without a tag do not reach an access port", async (t) => {
  const h = await host(t);
  const pod = await h.add("pod", { vlan: 100 });
  const other = await h.add("other", { vlan: 200 });
  const wire = await tap(t, h.wire, "nic0");
  const inside = await tap(t, pod.host, "eth0");

  await wire.send(testFrame("stranger-101", [{ vid: 101 }]));
  await wire.send(testFrame("stranger-200", [{ vid: 200 }]));
  await wire.send(testFrame("stranger-4095", [{ vid: 4095 }]));
  await wire.send(testFrame("stranger-untagged"));
  const neighbour = await tap(t, other.host, "eth0");
  await neighbour.send(testFrame("stranger-neighbour"));
  await wire.send(testFrame("last", [{ vid: 100 }]));
  await until(() => seen(inside, "last").length > 0);
  t.deepEqual(seen(inside, "stranger"), []);
});

test("the native VLAN travels untagged on the NIC, both ways, and VLAN 1 does not leak into VLAN 100", async (t) => {
  const h = await host(t);
  const legacy = await h.add("legacy", {});
  const pod = await h.add("pod", { vlan: 100 });
  const wire = await tap(t, h.wire, "nic0");
  const inside = await tap(t, legacy.host, "eth0");
  const other = await tap(t, pod.host, "eth0");

  await inside.send(testFrame("up"));
  await until(() => seen(wire, "up").length > 0);
  t.deepEqual(seen(wire, "up"), ["untagged"]);

  await wire.send(testFrame("down"));
  await until(() => seen(inside, "down").length > 0);
  t.deepEqual(seen(inside, "down"), ["untagged"]);
  await wire.send(testFrame("marker", [{ vid: 100 }]));
  await until(() => seen(other, "marker").length > 0);
  t.deepEqual(seen(other, "down"), []);
  t.deepEqual(seen(other, "up"), []);
});

test("priority bits survive: a priority-tagged frame leaves with its VLAN's tag and the same PCP", async (t) => {
  const h = await host(t);
  const pod = await h.add("pod", { vlan: 100 });
  const wire = await tap(t, h.wire, "nic0");
  const inside = await tap(t, pod.host, "eth0");
  await inside.send(testFrame("urgent", [{ vid: 0, pcp: 5 }]));
  await until(() => seen(wire, "urgent").length > 0);
  t.deepEqual(seen(wire, "urgent"), [(5 << 13) | 100]);
});

test("a trunk port keeps its tags, has its native VLAN untagged, and nothing else", async (t) => {
  const h = await host(t);
  const trunk = await h.add("trunk", { vlan: 300, vlanTrunk: [{ id: 100 }, { minID: 200, maxID: 202 }] });
  const wire = await tap(t, h.wire, "nic0");
  const inside = await tap(t, trunk.host, "eth0");

  await inside.send(testFrame("in-100", [{ vid: 100 }]));
  await inside.send(testFrame("in-201", [{ vid: 201, pcp: 3 }]));
  await inside.send(testFrame("in-203", [{ vid: 203 }]));
  await inside.send(testFrame("in-native"));
  await until(() => seen(wire, "in-native").length > 0);
  t.deepEqual(seen(wire, "in-100"), [100]);
  t.deepEqual(seen(wire, "in-201"), [(3 << 13) | 201]);
  t.deepEqual(seen(wire, "in-203"), []);
  t.deepEqual(seen(wire, "in-native"), [300]);

  for (const vid of [100, 202, 203, 300]) await wire.send(testFrame(`out-${vid}`, [{ vid }], BROADCAST, station(9)));
  await until(() => seen(inside, "out-300").length > 0);
  t.deepEqual(seen(inside, "out-100"), [100]);
  t.deepEqual(seen(inside, "out-202"), [202]);
  t.deepEqual(seen(inside, "out-203"), []);
  t.deepEqual(seen(inside, "out-300"), ["untagged"]);
});

test("a service tag (802.1ad) passes whole, below the VLAN's own tag", async (t) => {
  const h = await host(t);
  const pod = await h.add("pod", { vlan: 100 });
  const wire = await tap(t, h.wire, "nic0");
  const inside = await tap(t, pod.host, "eth0");
  await inside.send(testFrame("service", [{ vid: 55, tpid: TPID_8021AD }]));
  await until(() => seen(wire, "service").length > 0);
  t.deepEqual(seen(wire, "service"), [100]);
  const carried = wire.frames.find(({ data }) => Buffer.from(data).includes("service"));
  t.is(
    Buffer.from(carried?.data ?? [])
      .subarray(12, 16)
      .toString("hex"),
    "88a80037",
    "the service tag is in the payload",
  );
});

test("known unicast goes to its port only; a MAC that moves is followed", async (t) => {
  const h = await host(t);
  const a = await h.add("a", { vlan: 100 });
  const b = await h.add("b", { vlan: 100 });
  const [atA, atB] = [await tap(t, a.host, "eth0"), await tap(t, b.host, "eth0")];
  const wire = await tap(t, h.wire, "nic0");
  const guest = station(77);

  await atA.send(testFrame("guest at a", [], BROADCAST, guest));
  await until(() => seen(wire, "guest at a").length > 0);
  await wire.send(testFrame("to guest 1", [{ vid: 100 }], guest, station(2)));
  await until(() => seen(atA, "to guest 1").length > 0);
  t.deepEqual(seen(atB, "to guest 1"), []);

  await atB.send(testFrame("guest at b", [], BROADCAST, guest));
  await until(() => seen(wire, "guest at b").length > 0);
  await wire.send(testFrame("to guest 2", [{ vid: 100 }], guest, station(2)));
  await until(() => seen(atB, "to guest 2").length > 0);
  t.deepEqual(seen(atA, "to guest 2"), []);
});
