// Addresses and subnets, against node:net.
import { BlockList, isIP } from "node:net";
import test from "ava";
import fc from "fast-check";
import {
  contains,
  formatIp,
  isHostAddress,
  isLinkLocal,
  lastAddress,
  networkAddress,
  parseCidr,
  parseIp,
} from "../../daemon/model/ip.ts";

const ip = (text: string) => parseIp(text) ?? { family: 4 as const, value: -1n };
const cidr = (text: string) => parseCidr(text) ?? { family: 4 as const, address: -1n, prefixLength: 0 };

test("addresses are read and written back in canonical form", (t) => {
  const forms = [
    ["192.0.2.1", "192.0.2.1"],
    ["::", "::"],
    ["2001:db8::1", "2001:db8::1"],
    ["2001:DB8:0:0:1:0:0:1", "2001:db8::1:0:0:1"],
    ["2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"],
    ["1:0:0:2:0:0:0:3", "1:0:0:2::3"],
    ["::ffff:192.0.2.1", "::ffff:c000:201"],
    ["fe80::", "fe80::"],
  ] as const;
  for (const [text, canonical] of forms) t.is(formatIp(ip(text)), canonical);
});

test("what is no address or subnet is null", (t) => {
  for (const text of ["", "10.0.0", "10.0.0.256", "010.0.0.1", "fe80::1%eth0", "1::2::3", " 10.0.0.1"])
    t.is(parseIp(text), null);
  for (const text of [
    "",
    "10.0.0.0",
    "10.0.0.0/",
    "10.0.0.0/33",
    "10.0.0.0/08",
    "::/129",
    "10.0.0.0/-1",
    "10.0.0.0/8/8",
  ]) {
    t.is(parseCidr(text), null);
  }
});

test("text, number and text again are the same address", (t) => {
  fc.assert(
    fc.property(fc.oneof(fc.ipV4(), fc.ipV6()), (text) => {
      const one = parseIp(text);
      t.is(one !== null, isIP(text) !== 0);
      if (one !== null) t.deepEqual(parseIp(formatIp(one)), one);
    }),
  );
});

test("a subnet contains what node:net's BlockList says it contains", (t) => {
  fc.assert(
    fc.property(fc.ipV4(), fc.ipV4(), fc.integer({ min: 0, max: 32 }), fc.boolean(), (a, b, prefix, near) => {
      const base = parseCidr(`${a}/${prefix}`);
      if (base === null) return t.fail();
      const other = near ? formatIp(lastAddress(base)) : b;
      const list = new BlockList();
      list.addSubnet(a, prefix, "ipv4");
      t.is(contains(base, ip(other)), list.check(other, "ipv4"));
    }),
  );
});

test("a subnet's own name and its broadcast address are no hosts, except on /31 and /32", (t) => {
  const net = cidr("10.1.2.130/25");
  t.is(formatIp(networkAddress(net)), "10.1.2.128");
  t.is(formatIp(lastAddress(net)), "10.1.2.255");
  t.false(isHostAddress(net, ip("10.1.2.128")));
  t.false(isHostAddress(net, ip("10.1.2.255")));
  t.true(isHostAddress(net, ip("10.1.2.129")));
  t.false(isHostAddress(net, ip("10.1.2.1")));
  t.true(isHostAddress(cidr("10.0.0.0/31"), ip("10.0.0.0")));
  t.true(isHostAddress(cidr("10.0.0.7/32"), ip("10.0.0.7")));
  t.false(contains(cidr("::/0"), ip("10.0.0.1")));
});

test("link-local is fe80::/10", (t) => {
  t.deepEqual(
    ["fe80::1", "febf::1", "fec0::1", "2001:db8::1", "169.254.0.1"].map((text) => isLinkLocal(ip(text))),
    [true, true, false, false, false],
  );
});
