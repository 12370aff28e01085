/** Packet sockets through the addon: frames as they are on a veth, tags from the metadata, bounds, and endings. */
import test from "ava";
import type { PacketSocketOptions, ReceivedFrame } from "../../daemon/kernel/kernel.ts";
import { KernelError } from "../../daemon/kernel/kernel-error.ts";
import { collect, connect, openDescriptors, type Space, space } from "./fixtures/lab.ts";
import { until } from "../support/until.ts";

const ETH_TEST = 0x88b5; // local experimental EtherType 1, IEEE 802
const PACKET_OTHERHOST = 3;
const PACKET_OUTGOING = 4;

/** An Ethernet frame of `size` bytes with the given tags as (tpid, tci) in its header. */
function frame(tags: readonly (readonly [number, number])[] = [], size = 64, type = ETH_TEST): Uint8Array {
  const bytes = new Uint8Array(size).map((_, i) => i & 0xff);
  bytes.set([0x02, 0, 0, 0, 0, 0xbb, 0x02, 0, 0, 0, 0, 0xaa]);
  const view = new DataView(bytes.buffer);
  let at = 12;
  for (const [tpid, tci] of tags) {
    view.setUint16(at, tpid);
    view.setUint16(at + 2, tci);
    at += 4;
  }
  view.setUint16(at, type);
  return bytes;
}

/** The frame without its outermost tag. */
const untagged = (bytes: Uint8Array): Uint8Array => new Uint8Array([...bytes.slice(0, 12), ...bytes.slice(16)]);

async function listen(at: Space, options: PacketSocketOptions) {
  const frames: ReceivedFrame[] = [];
  const socket = await at.openPacketSocket(options, (batch) => frames.push(...batch));
  return { frames, socket };
}

test.serial("an untagged frame arrives as it was sent, with its time and type", async (t) => {
  const [a, b] = [await space(t), await space(t)];
  const [v0, v1] = await connect(a, b);
  const { frames } = await listen(b, { ifindex: v1, protocol: ETH_TEST });
  const { socket } = await listen(a, { ifindex: v0 });
  const before = BigInt(Date.now()) * 1_000_000n;
  await socket.send(frame());
  await until(() => frames.length === 1);
  t.deepEqual(frames[0]?.data, frame());
  t.is(frames[0]?.vlan, undefined);
  t.is(frames[0]?.packetType, PACKET_OTHERHOST);
  const at = frames[0]?.timestampNs ?? 0n;
  t.true(at >= before - 1_000_000n && at <= BigInt(Date.now() + 1) * 1_000_000n);
});

for (const [what, tag] of [
  ["VLAN 100 with priority 5 and DEI", [0x8100, 0xb064]],
  ["a priority tag (VID 0)", [0x8100, 0x6000]],
  ["an 802.1ad service tag", [0x88a8, 0x0002]],
] as const) {
  test.serial(`a frame sent with ${what} is received with the tag beside it`, async (t) => {
    const [a, b] = [await space(t), await space(t)];
    const [v0, v1] = await connect(a, b);
    const { frames } = await listen(b, { ifindex: v1 });
    const { socket } = await listen(a, { ifindex: v0 });
    await socket.send(frame([tag]));
    await until(() => frames.length === 1);
    t.deepEqual(frames[0]?.vlan, { tpid: tag[0], tci: tag[1] });
    t.deepEqual(frames[0]?.data, untagged(frame([tag])));
  });
}

test.serial("of two tags the outer one is beside the frame and the inner one in it", async (t) => {
  const [a, b] = [await space(t), await space(t)];
  const [v0, v1] = await connect(a, b);
  const { frames } = await listen(b, { ifindex: v1 });
  const { socket } = await listen(a, { ifindex: v0 });
  const sent = frame([
    [0x88a8, 7],
    [0x8100, 100],
  ]);
  await socket.send(sent);
  await until(() => frames.length === 1);
  t.deepEqual(frames[0]?.vlan, { tpid: 0x88a8, tci: 7 });
  t.deepEqual(frames[0]?.data, untagged(sent));
});

test.serial("frames that this host sends are seen only when asked for", async (t) => {
  const [a, b] = [await space(t), await space(t)];
  const [v0, v1] = await connect(a, b);
  const quiet = await listen(a, { ifindex: v0 });
  const all = await listen(a, { ifindex: v0, outgoing: true });
  const far = await listen(b, { ifindex: v1 });
  const sender = await listen(a, { ifindex: v0 });
  await sender.socket.send(frame());
  await until(() => far.frames.length === 1 && all.frames.length === 1);
  t.is(all.frames[0]?.packetType, PACKET_OUTGOING);
  await far.socket.send(frame());
  await until(() => quiet.frames.length === 1 && all.frames.length === 2);
  t.is(quiet.frames.length, 1);
});

test.serial("only the protocol asked for is received", async (t) => {
  const [a, b] = [await space(t), await space(t)];
  const [v0, v1] = await connect(a, b);
  const some = await listen(b, { ifindex: v1, protocol: ETH_TEST });
  const all = await listen(b, { ifindex: v1 });
  const { socket } = await listen(a, { ifindex: v0 });
  for (const type of [0x0800, ETH_TEST, 0x88b6]) await socket.send(frame([], 64, type));
  await until(() => all.frames.length === 3 && some.frames.length === 1);
  t.deepEqual(some.frames[0]?.data, frame());
});

for (const size of [14, 9014, 65_549]) {
  test.serial(`a frame of ${size} bytes is carried whole`, async (t) => {
    const [a, b] = [await space(t), await space(t)];
    const [v0, v1] = await connect(a, b, 65_535);
    const { frames } = await listen(b, { ifindex: v1 });
    const { socket } = await listen(a, { ifindex: v0 });
    await socket.send(frame([], size));
    await until(() => frames.length === 1);
    t.deepEqual(frames[0]?.data, frame([], size));
  });
}

test.serial("what the kernel refuses to send is an error with its reason", async (t) => {
  const [a, b] = [await space(t), await space(t)];
  const [v0] = await connect(a, b);
  const { socket } = await listen(a, { ifindex: v0 });
  const object = `ifindex ${v0}`;
  t.like(await t.throwsAsync(socket.send(frame([], 1519)), { instanceOf: KernelError }), { code: "EMSGSIZE", object });
  t.like(await t.throwsAsync(socket.send(new Uint8Array(5)), { instanceOf: KernelError }), { code: "EINVAL" });
  await a.ip("link", "set", "v0", "down");
  t.like(await t.throwsAsync(socket.send(frame()), { instanceOf: KernelError }), { code: "ENETDOWN", object });
  await socket.close();
  t.like(await t.throwsAsync(socket.send(frame()), { instanceOf: KernelError }), { code: "EBADF", object });
  for (const ifindex of [0, 4242]) {
    const error = await t.throwsAsync(
      a.openPacketSocket({ ifindex }, () => {}),
      { instanceOf: KernelError },
    );
    t.like(error, { code: "ENODEV", object: `ifindex ${ifindex}` });
  }
});

test.serial("a socket receives again after its device was down", async (t) => {
  const [a, b] = [await space(t), await space(t)];
  const [v0, v1] = await connect(a, b);
  const { frames } = await listen(b, { ifindex: v1, protocol: ETH_TEST });
  const { socket } = await listen(a, { ifindex: v0 });
  await b.ip("link", "set", "v1", "down");
  await b.ip("link", "set", "v1", "up");
  await until(async () => (await a.ip("link", "show", "v0"))[0].operstate === "UP");
  await socket.send(frame());
  await until(() => frames.length === 1);
  t.pass();
});

test.serial("frames beyond the queue are dropped and counted while JavaScript is busy", async (t) => {
  const [a, b] = [await space(t), await space(t)];
  const [v0, v1] = await connect(a, b);
  const { frames, socket: receiver } = await listen(b, { ifindex: v1, protocol: ETH_TEST, queue: 100 });
  const { socket } = await listen(a, { ifindex: v0 });
  const sends = Array.from({ length: 2000 }, () => socket.send(frame()));
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 500);
  await Promise.all(sends);
  await until(() => frames.length + receiver.dropped === 2000);
  t.is(frames.length, 100);
});

test.serial("a promiscuous socket makes its device promiscuous for as long as it is open", async (t) => {
  const [a, b] = [await space(t), await space(t)];
  const [v0] = await connect(a, b);
  const promiscuity = async () => (await a.ip("-details", "link", "show", "v0"))[0].promiscuity;
  const { socket } = await listen(a, { ifindex: v0, promiscuous: true });
  t.is(await promiscuity(), 1);
  await socket.close();
  t.is(await promiscuity(), 0);
});

test.serial("a closed socket calls back no more, and a namespace closes its sockets when it ends", async (t) => {
  const [a, b] = [await space(t), await space(t)];
  const [v0, v1] = await connect(a, b);
  await collect();
  const before = openDescriptors();
  const { frames, socket } = await listen(b, { ifindex: v1 });
  const sender = (await listen(a, { ifindex: v0 })).socket;
  const closing = socket.close();
  await sender.send(frame());
  await closing;
  await sender.send(frame());
  t.deepEqual(frames, []);
  await socket.close(); // harmless
  const kept = await listen(b, { ifindex: v1 });
  await Promise.all([a.close(), b.close()]);
  t.true(openDescriptors() <= before);
  await kept.socket.close(); // harmless as well
});
