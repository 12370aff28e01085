/** Announcements byte by byte. */
import test from "ava";
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
