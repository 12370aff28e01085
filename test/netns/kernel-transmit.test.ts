/** Frames sent out of a device: the other side has them as they were, this side hears nothing. */
import test from "ava";
import type { ReceivedFrame } from "../../daemon/kernel/kernel.ts";
import { BROADCAST, frame, station } from "../peers/frames.ts";
import { until } from "../support/until.ts";
import { openDescriptors } from "./fixtures/lab.ts";
import { ipDo, makeLab } from "./kernel-lab.ts";

const HELLO = frame({ dst: BROADCAST, src: station(1) });
const TAGGED = frame({ dst: BROADCAST, src: station(2), tags: [{ vid: 100, pcp: 3 }] });
const hex = (bytes: Uint8Array | undefined): string => Buffer.from(bytes ?? []).toString("hex");

test("frames leave in their order, a tag included", async (t) => {
  const lab = await makeLab(t);
  await ipDo(lab, ..."link add d0 type veth peer name x0".split(" "));
  for (const name of ["d0", "x0"]) {
    await lab.ns.writeSysctl(`net/ipv6/conf/${name}/disable_ipv6`, "1");
    await ipDo(lab, "link", "set", name, "up");
  }
  const near = (await lab.ns.link({ name: "d0" }))?.ifindex ?? 0;
  const far = (await lab.ns.link({ name: "x0" }))?.ifindex ?? 0;
  const seen: ReceivedFrame[] = [];
  const back: ReceivedFrame[] = [];
  const sockets = [
    await lab.ns.openPacketSocket({ ifindex: far, promiscuous: true }, (frames) => seen.push(...frames)),
    await lab.ns.openPacketSocket({ ifindex: near, promiscuous: true }, (frames) => back.push(...frames)),
  ];
  t.teardown(() => Promise.all(sockets.map((socket) => socket.close())));
  await lab.ns.transmit(near, [HELLO, TAGGED]);
  await until(() => seen.length === 2);
  t.is(hex(seen[0]?.data), hex(HELLO));
  t.deepEqual(seen[1]?.vlan, { tpid: 0x8100, tci: (3 << 13) | 100 });
  t.is(hex(seen[1]?.data), hex(frame({ dst: BROADCAST, src: station(2) })), "the kernel puts the tag beside the frame");
  t.deepEqual(back, []);
});

test("a device that is down, one that is not there and a frame that is none are errors", async (t) => {
  const { ns, ...lab } = await makeLab(t);
  await ipDo({ ns, ...lab }, ..."link add d0 type veth peer name x0".split(" "));
  const down = (await ns.link({ name: "d0" }))?.ifindex ?? 0;
  await t.throwsAsync(ns.transmit(down, [HELLO]), { code: "ENETDOWN" });
  await t.throwsAsync(ns.transmit(4711, [HELLO]), { code: "ENXIO" });
  await ipDo({ ns, ...lab }, "link", "set", "d0", "up");
  await t.throwsAsync(ns.transmit(down, [new Uint8Array(13)]), { code: "EINVAL" });
  await t.notThrowsAsync(ns.transmit(down, []));
});

test.serial("no descriptor is left of it, also when it fails", async (t) => {
  const { ns, ...lab } = await makeLab(t);
  await ipDo({ ns, ...lab }, ..."link set lo up".split(" "));
  await ns.transmit(1, [HELLO]);
  const before = openDescriptors();
  for (let i = 0; i < 20; i++) {
    await ns.transmit(1, [HELLO]);
    await t.throwsAsync(ns.transmit(4711, [HELLO]));
  }
  t.is(openDescriptors(), before);
});
