import test from "ava";
import * as fc from "fast-check";
import { formatIpv4 } from "../../daemon/model/ip.ts";
import { isStationMac } from "../../daemon/model/mac.ts";
import { type Arp, buildArp, buildEcho, checksum, type Echo, layoutOf, parseFrame } from "../../daemon/probe/frame.ts";
import { received } from "./probe-support.ts";

const hex = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text.replaceAll(/\s/g, ""), "hex"));
const us = "02:11:22:33:44:55";
const gateway = "00:1b:21:3c:9d:f8";

const ARP_VLAN_100 = hex(`
  ffffffffffff 021122334455 8100 0064 0806
  0001 0800 06 04 0001 021122334455 0a0000fa 000000000000 0a000001
  000000000000000000000000000000000000`);
// Header checksums of these bytes were worked out by hand from RFC 1071.
const ECHO_REPLY = hex(`
  021122334455 001b213c9df8 0800
  4500 0020 0000 4000 40 01 25e3 0a000001 0a0000fa
  00 00 f9b5 1234 5678 deadbeef
  0000000000000000000000000000`);

const mac = fc
  .uint8Array({ minLength: 6, maxLength: 6 })
  .map((bytes) => [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join(":"));
const stationMac = mac.filter(isStationMac);
const ip = fc.nat(0xffffffff).map(formatIpv4);
const ethernet = fc.record({ destination: mac, source: stationMac, vlan: fc.integer({ min: 0, max: 4094 }) });
const arps: fc.Arbitrary<Arp> = fc.record({
  operation: fc.constantFrom("request", "reply"),
  senderMac: mac,
  senderIp: ip,
  targetMac: mac,
  targetIp: ip,
});
const echoes: fc.Arbitrary<Echo> = fc.record({
  type: fc.constantFrom("request", "reply"),
  sourceIp: ip,
  destinationIp: ip,
  identifier: fc.nat(0xffff),
  sequence: fc.nat(0xffff),
  data: fc.uint8Array({ maxLength: 1480 }),
});

test("a tagged ARP request has the bytes of RFC 826 behind an 802.1Q header, padded to 64", (t) => {
  const frame = buildArp(
    { destination: "ff:ff:ff:ff:ff:ff", source: us, vlan: 100 },
    {
      operation: "request",
      senderMac: us,
      senderIp: "10.0.0.250",
      targetMac: "00:00:00:00:00:00",
      targetIp: "10.0.0.1",
    },
  );
  t.is(frame.length, 64);
  t.deepEqual(frame, ARP_VLAN_100);
});

test("an echo reply of known bytes is read, its padding left out of the data", (t) => {
  t.deepEqual(parseFrame(ECHO_REPLY), {
    kind: "echo",
    ethernet: { destination: us, source: gateway, vlan: 0 },
    echo: {
      type: "reply",
      sourceIp: "10.0.0.1",
      destinationIp: "10.0.0.250",
      identifier: 0x1234,
      sequence: 0x5678,
      data: hex("deadbeef"),
    },
  });
});

test("an echo is built to known bytes", (t) => {
  const echo: Echo = {
    type: "reply",
    sourceIp: "10.0.0.1",
    destinationIp: "10.0.0.250",
    identifier: 0x1234,
    sequence: 0x5678,
    data: hex("deadbeef"),
  };
  t.deepEqual(buildEcho({ destination: us, source: gateway, vlan: 0 }, echo), ECHO_REPLY);
});

test("the checksum is that of RFC 1071's example, also for an odd number of bytes", (t) => {
  t.is(checksum(hex("0001f203f4f5f6f7")), ~0xddf2 & 0xffff);
  t.is(checksum(hex("0001f2")), ~0xf201 & 0xffff);
  t.is(checksum(hex("ffffffff0001")), ~0x0001 & 0xffff, "the carry of a carry is added too");
});

test("what was built is read back, with the tag in the frame and with the tag beside it", (t) => {
  fc.assert(
    fc.property(ethernet, arps, (header, arp) => {
      const frame = buildArp(header, arp);
      const beside = received(frame, 0n);
      t.deepEqual(parseFrame(frame), { kind: "arp", ethernet: header, arp });
      t.deepEqual(parseFrame(beside.data, beside.vlan), { kind: "arp", ethernet: header, arp });
    }),
  );
  fc.assert(
    fc.property(ethernet, echoes, (header, echo) => {
      const frame = buildEcho(header, echo);
      const beside = received(frame, 0n);
      t.deepEqual(parseFrame(frame), { kind: "echo", ethernet: header, echo });
      t.deepEqual(parseFrame(beside.data, beside.vlan), { kind: "echo", ethernet: header, echo });
    }),
  );
});

test("any bytes and any tag are read without throwing", (t) => {
  const tag = fc.option(fc.record({ tpid: fc.constantFrom(0x8100, 0x88a8, 0), tci: fc.nat(0xffff) }), {
    nil: undefined,
  });
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), tag, (bytes, beside) => {
      parseFrame(bytes, beside);
    }),
    { numRuns: 2000 },
  );
  t.pass();
});

test("a frame with some bytes changed or its end cut off is read without throwing, and never as another length", (t) => {
  const changes = fc.array(fc.record({ at: fc.nat(80), to: fc.nat(255) }), { maxLength: 4 });
  fc.assert(
    fc.property(fc.constantFrom(ARP_VLAN_100, ECHO_REPLY), changes, fc.nat(64), (original, edits, length) => {
      const bytes = original.slice(0, length);
      for (const { at, to } of edits) if (at < bytes.length) bytes[at] = to;
      const frame = parseFrame(bytes);
      if (frame?.kind === "echo") t.true(frame.echo.data.length <= bytes.length - 42);
    }),
    { numRuns: 2000 },
  );
  t.pass();
});

test("an echo with any one byte of its headers or data changed is refused", (t) => {
  for (let at = 14; at < 14 + 32; at++) {
    const bytes = ECHO_REPLY.slice();
    bytes[at] = (bytes[at] ?? 0) ^ 0x01;
    t.is(parseFrame(bytes), null, `byte ${at}`);
  }
});

test("every cut of a whole packet is refused", (t) => {
  for (let length = 0; length < 14 + 32; length++) t.is(parseFrame(ECHO_REPLY.subarray(0, length)), null);
  for (let length = 0; length < 18 + 28; length++) t.is(parseFrame(ARP_VLAN_100.subarray(0, length)), null);
});

test("a fragment is refused even if its checksums hold", (t) => {
  const bytes = ECHO_REPLY.slice();
  bytes.set(hex("2000"), 20); // MF in place of DF
  bytes.set(hex("45e3"), 24);
  t.is(checksum(bytes.subarray(14, 34)), 0);
  t.is(parseFrame(bytes), null);
});

test("lengths that leave no room for a header are refused even if the checksum holds", (t) => {
  for (const [first, total, bytes] of [
    [0x45, 20, 20], // no ICMP header in the total length
    [0x45, 24, 24], // half of one
    [0x4f, 60, 60], // only options
    [0x44, 46, 46], // a header shorter than a header
    [0x40, 46, 46],
  ] as const) {
    const packet = new Uint8Array(bytes);
    packet.set([first, 0, total >> 8, total & 255, 0, 0, 0x40, 0, 64, 1]);
    if (first === 0x44) packet.fill(0xff, 18, 20); // a right ICMP checksum, were the header 16 bytes
    const header = packet.subarray(0, Math.min((first & 15) * 4, bytes));
    if (header.length >= 12) new DataView(packet.buffer).setUint16(10, checksum(header));
    t.is(parseFrame(Uint8Array.from([...ECHO_REPLY.subarray(0, 14), ...packet])), null, `${first} ${total}`);
  }
  t.is(layoutOf(ARP_VLAN_100.subarray(0, 17)), null);
});

test("header options are skipped", (t) => {
  const echo = hex("0000 f9b5 1234 5678 deadbeef");
  const header = hex("4600 0024 0000 4000 4001 0000 0a000001 0a0000fa 01010101");
  new DataView(header.buffer).setUint16(10, checksum(header));
  const frame = parseFrame(Uint8Array.from([...ECHO_REPLY.subarray(0, 14), ...header, ...echo]));
  t.is(frame?.kind === "echo" && frame.echo.sequence, 0x5678);
});

test("802.1ad, double tags, VID 4095 and group sources are no frames of a probe", (t) => {
  const untagged = ECHO_REPLY;
  t.is(parseFrame(untagged, { tpid: 0x88a8, tci: 100 }), null);
  t.is(parseFrame(untagged, { tpid: 0x8100, tci: 0x0fff }), null);
  t.is(parseFrame(ARP_VLAN_100, { tpid: 0x8100, tci: 100 }), null);
  const group = untagged.slice();
  group[6] = 0x01;
  t.is(parseFrame(group), null);
});

test("the priority of a tag is left out of its VLAN, and a priority tag is as none", (t) => {
  t.is(layoutOf(ECHO_REPLY, { tpid: 0x8100, tci: 0xe064 })?.vlan, 100);
  t.is(layoutOf(ECHO_REPLY, { tpid: 0x8100, tci: 0xe000 })?.vlan, 0);
});

test("what has no encoding is a RangeError", (t) => {
  const arp: Arp = { operation: "request", senderMac: us, senderIp: "0.0.0.0", targetMac: us, targetIp: "10.0.0.1" };
  const header = { destination: us, source: us, vlan: 1 };
  t.throws(() => buildArp({ ...header, vlan: 4095 }, arp), { instanceOf: RangeError });
  t.throws(() => buildArp({ ...header, source: "02" }, arp), { instanceOf: RangeError });
  t.throws(() => buildArp(header, { ...arp, targetIp: "10.0.0" }), { instanceOf: RangeError });
  const echo = {
    type: "request",
    sourceIp: "10.0.0.1",
    destinationIp: "10.0.0.2",
    identifier: 1,
    sequence: 1,
  } as const;
  t.throws(() => buildEcho(header, { ...echo, sequence: 0x10000, data: hex("") }), { instanceOf: RangeError });
  t.throws(() => buildEcho(header, { ...echo, data: new Uint8Array(65_508) }), { instanceOf: RangeError });
});
