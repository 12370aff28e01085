/** Announcements byte by byte, and the address arithmetic under them. */
import test from "ava";
import fc from "fast-check";
import { addressBytes, parseCidr, parseMac, sameAddress } from "../../daemon/attach/addresses.ts";
import { announcement } from "../../daemon/attach/announce.ts";

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex");

test("IPv4: a gratuitous ARP request to everybody", (t) => {
  t.is(
    hex(announcement("02:00:00:00:00:01", "10.0.0.2")),
    ["ffffffffffff020000000001", "0806", "0001080006040001", "0200000000010a000002", "0000000000000a000002"].join(""),
  );
});

test("IPv6: an unsolicited neighbour advertisement with a valid checksum", (t) => {
  const frame = announcement("02:00:00:00:00:01", "fd00::2");
  const ip = "fd000000000000000000000000000002";
  const allNodes = "ff020000000000000000000000000001";
  t.is(hex(frame.slice(0, 54)), `33330000000102000000000186dd6000000000203aff${ip}${allNodes}`);
  t.is(hex(frame.slice(54, 56)), "8800");
  t.is(hex(frame.slice(58)), `20000000${ip}0201020000000001`);
  // Over pseudo-header and message, the one's complement sum is all ones (RFC 1071).
  const all = Buffer.concat([frame.slice(22, 54), Uint8Array.of(0, 0, 0, 32, 0, 0, 0, 58), frame.slice(54)]);
  let sum = 0;
  for (let i = 0; i < all.length; i += 2) sum += all.readUInt16BE(i);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  t.is(sum, 0xffff);
});

test("addresses become octets, whatever their spelling", (t) => {
  t.is(hex(addressBytes("1.2.3.255")), "010203ff");
  t.is(hex(addressBytes("::")), "0".repeat(32));
  t.is(hex(addressBytes("::1")), `${"0".repeat(31)}1`);
  t.is(hex(addressBytes("2001:DB8::")), `20010db8${"0".repeat(24)}`);
  t.is(hex(addressBytes("::ffff:1.2.3.4")), `${"0".repeat(20)}ffff01020304`);
  t.is(hex(addressBytes("1:2:3:4:5:6:7:8")), "00010002000300040005000600070008");
  t.true(sameAddress("fd00:0::2", "FD00::0002"));
  t.false(sameAddress("::1.2.3.4", "1.2.3.4"));
  const group = fc.integer({ min: 0, max: 0xffff });
  fc.assert(
    fc.property(fc.array(group, { minLength: 8, maxLength: 8 }), (groups) => {
      const text = groups.map((g) => g.toString(16)).join(":");
      t.is(hex(addressBytes(text)), groups.map((g) => g.toString(16).padStart(4, "0")).join(""));
    }),
  );
});

test("prefixes and MACs are read strictly", (t) => {
  t.deepEqual(parseCidr("10.0.0.2/24"), { address: "10.0.0.2", prefixLength: 24 });
  for (const bad of [
    "10.0.0.2",
    "10.0.0.2/33",
    "10.0.0/8",
    "/8",
    "fd00::/129",
    "fe80::1%eth0/64",
    "10.0.0.2/ 8",
    "10.0.0.2/-1",
    "10.0.0.2/08x",
  ])
    t.is(parseCidr(bad), null, bad);
  t.is(parseMac("02-AB-00-00-00-01"), "02:ab:00:00:00:01");
  for (const bad of ["", "02:00:00:00:00", "01:00:00:00:00:00", "0200.0000.0001", "02:00:00:00:00:01 "])
    t.is(parseMac(bad), null, bad);
});
