import test from "ava";
import { buildArp, buildEcho, type Frame } from "../../daemon/probe/frame.ts";
import { ProbePort } from "../../daemon/probe/port.ts";
import { FakeClock, FakeWire, GATEWAY_MAC, PROBE_MAC } from "./probe-support.ts";

function setUp() {
  const clock = new FakeClock();
  const wire = new FakeWire(clock);
  const port = new ProbePort({ ifindex: 7, mac: PROBE_MAC, openSocket: wire.open, clock });
  return { clock, wire, port };
}

function ask(vlan: number, address: string, sender = GATEWAY_MAC, destination = "ff:ff:ff:ff:ff:ff"): Uint8Array {
  return buildArp(
    { destination, source: sender, vlan },
    {
      operation: "request",
      senderMac: sender,
      senderIp: "10.0.0.1",
      targetMac: "00:00:00:00:00:00",
      targetIp: address,
    },
  );
}

function echo(vlan: number, destination = PROBE_MAC): Uint8Array {
  return buildEcho(
    { destination, source: GATEWAY_MAC, vlan },
    {
      type: "reply",
      sourceIp: "10.0.0.1",
      destinationIp: "10.0.0.250",
      identifier: 1,
      sequence: 2,
      data: new Uint8Array(8),
    },
  );
}

test("ARP requests for a probe address are answered in its own VLAN and in no other", async (t) => {
  const { wire, port } = setUp();
  port.setAddresses(
    new Map([
      [100, new Set(["10.0.0.250"])],
      [200, new Set(["10.0.0.251"])],
    ]),
  );
  await port.open();
  wire.deliver(ask(100, "10.0.0.250"), ask(200, "10.0.0.250"), ask(0, "10.0.0.250"), ask(100, "10.0.0.9"));
  wire.deliver(ask(200, "10.0.0.250", GATEWAY_MAC, PROBE_MAC)); // unicast, as a router that confirms its cache
  t.deepEqual(
    wire.sent.map(({ frame }) => frame),
    [
      {
        kind: "arp",
        ethernet: { destination: GATEWAY_MAC, source: PROBE_MAC, vlan: 100 },
        arp: {
          operation: "reply",
          senderMac: PROBE_MAC,
          senderIp: "10.0.0.250",
          targetMac: GATEWAY_MAC,
          targetIp: "10.0.0.1",
        },
      },
    ],
  );
  await port.close();
});

test("an address that is taken away is not answered for any more", async (t) => {
  const { wire, port } = setUp();
  port.setAddresses(new Map([[100, new Set(["10.0.0.250"])]]));
  await port.open();
  port.setAddresses(new Map());
  wire.deliver(ask(100, "10.0.0.250"));
  t.is(wire.sent.length, 0);
  await port.close();
});

test("a flood of ARP requests is answered 64 times a second", async (t) => {
  const { wire, port, clock } = setUp();
  port.setAddresses(new Map([[100, new Set(["10.0.0.250"])]]));
  await port.open();
  for (let i = 0; i < 4; i++) wire.deliver(...Array.from({ length: 100 }, () => ask(100, "10.0.0.250")));
  t.is(wire.sent.length, 64);
  await clock.advance(1000);
  wire.deliver(ask(100, "10.0.0.250"));
  t.is(wire.sent.length, 65);
  await port.close();
});

test("a listener hears ARP and echoes of its VLAN that are for this port, with the time of arrival", async (t) => {
  const { wire, port, clock } = setUp();
  await port.open();
  const heard: { frame: Frame; arrived: bigint }[] = [];
  const stop = port.listen(100, (frame, arrived) => heard.push({ frame, arrived }));
  clock.stall(2);
  wire.deliver(echo(100), echo(200), echo(0), echo(100, "02:00:00:00:00:77"), new Uint8Array(3));
  t.is(heard.length, 1);
  t.is(heard[0]?.arrived, 2_000_000n);
  stop();
  wire.deliver(echo(100));
  t.is(heard.length, 1);
  await port.close();
});

test("what is flooded or not ICMP is left unparsed, and so keeps nothing else out", async (t) => {
  const { wire, port } = setUp();
  port.setAddresses(new Map([[100, new Set(["10.0.0.250"])]]));
  await port.open();
  let heard = 0;
  port.listen(100, () => heard++);
  const udp = echo(100);
  udp[18 + 9] = 17;
  const others = [udp, ask(100, "10.0.0.9"), echo(100, "02:00:00:00:00:77"), echo(200)];
  wire.deliver(...Array.from({ length: 600 }, () => others).flat(), echo(100));
  t.is(heard, 1);
  t.is(port.lost, 0);
  await port.close();
});

test("of one batch no more than 512 frames are parsed, and the others are counted as lost", async (t) => {
  const { wire, port } = setUp();
  await port.open();
  let heard = 0;
  port.listen(100, () => heard++);
  wire.deliver(...Array.from({ length: 600 }, () => echo(100)), ...Array.from({ length: 50 }, () => echo(200)));
  t.is(heard, 512);
  t.is(port.lost, 88);
  t.is(port.received, 650);
  await port.close();
});

test("a socket that cannot send is closed and the next open makes another; what it lost stays counted", async (t) => {
  const { wire, port } = setUp();
  await port.open();
  const [socket] = wire.sockets;
  if (!socket) return t.fail();
  socket.dropped = 3;
  wire.sendError = new Error("ENXIO");
  await t.throwsAsync(port.send(echo(100)), { message: "ENXIO" });
  t.true(socket.closed);
  t.is(port.lost, 3);
  wire.sendError = null;
  await t.throwsAsync(port.send(echo(100)), { message: /not open/ });
  await port.open();
  await port.send(echo(100));
  t.is(wire.sockets.length, 2);
  t.is(wire.openSockets, 1);
  await port.close();
  t.is(wire.openSockets, 0);
});

test("two who need the socket at once share one", async (t) => {
  const { wire, port } = setUp();
  await Promise.all([port.open(), port.open()]);
  await port.open();
  t.is(wire.sockets.length, 1);
  await port.close();
});

test("a socket in doubt is renewed when nobody listens on it any more, not before", async (t) => {
  const { wire, port } = setUp();
  await port.open();
  const stop = port.listen(100, () => undefined);
  port.doubt();
  t.is(wire.openSockets, 1);
  stop();
  t.is(wire.openSockets, 0);
  await port.open();
  t.is(wire.openSockets, 1);
  port.listen(100, () => undefined)();
  t.is(wire.openSockets, 1, "the new socket is not in doubt");
  await port.close();
});

test("closing while the socket opens waits for it, leaves none open and calls no listener", async (t) => {
  const { wire, port } = setUp();
  let open = (): void => undefined;
  wire.openGate = new Promise((resolve) => {
    open = resolve;
  });
  port.listen(100, () => t.fail());
  const opening = t.throwsAsync(port.open(), { message: /closed/ });
  let closed = false;
  const closing = port.close().finally(() => {
    closed = true;
  });
  await new Promise((resolve) => setImmediate(resolve));
  t.false(closed, "the kernel still has it");
  open();
  await closing;
  t.is(wire.sockets.length, 1);
  t.is(wire.openSockets, 0);
  await opening;
  for (const socket of wire.sockets) {
    socket.onFrames([{ data: echo(0), vlan: { tpid: 0x8100, tci: 100 }, packetType: 0, timestampNs: 0n }]);
  }
  await t.throwsAsync(port.open(), { message: /closed/ });
});
