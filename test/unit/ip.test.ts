// Addresses and subnets, against node:net.
import { BlockList, isIP } from "node:net";
import test from "ava";
import fc from "fast-check";
import {
  contains,
  familyOf,
  formatIp,
  formatIpv4,
  ipBytes,
  isHostAddress,
  isLinkLocal,
  lastAddress,
  networkAddress,
  parseCidr,
  parseIp,
  parseIpv4,
  sameIp,
} from "../../daemon/model/ip.ts";

const ip = (text: string) => parseIp(text) ?? { family: 4 as const, value: -1n };
const cidr = (text: string) => parseCidr(text) ?? { family: 4 as const, address: -1n, prefixLength: 0 };

test("an address is the same one in each of its spellings", (t) => {
  const forms = [
    ["2001:DB8:0:0:1:0:0:1", "2001:db8::1:0:0:1"],
    ["2001:db8::1", "2001:0db8:0:0:0:0:0:0001"],
    ["1:0:0:2:0:0:0:3", "1:0:0:2::3"],
    ["::ffff:192.0.2.1", "::ffff:c000:201"],
    ["fe80::", "fe80:0:0:0:0:0:0:0"],
    ["::", "0:0:0:0:0:0:0:0"],
  ] as const;
  for (const [one, other] of forms) t.deepEqual(parseIp(one), parseIp(other) ?? t.fail(other), one);
  t.is(parseIp("2001:db8::1")?.value, 0x2001_0db8_0000_0000_0000_0000_0000_0001n);
});

test("addresses are written in canonical form, and are the same when read back", (t) => {
  for (const text of ["192.0.2.1", "::", "fe80::", "2001:db8::1", "2001:db8:0:1:1:1:1:1", "1:0:0:2::3"]) {
    t.is(formatIp(ip(text)), text);
  }
  t.is(formatIp(ip("2001:DB8:0:0:1:0:0:1")), "2001:db8::1:0:0:1");
  t.is(formatIp(ip("::ffff:192.0.2.1")), "::ffff:c000:201");
  fc.assert(
    fc.property(fc.oneof(fc.ipV4(), fc.ipV6()), (text) => {
      const one = parseIp(text);
      if (one !== null) t.deepEqual(parseIp(formatIp(one)), one);
    }),
  );
});

test("what is no address or subnet is null", (t) => {
  const quads = [
    "",
    "1.2.3",
    "1.2.3.4.5",
    "256.0.0.1",
    "01.2.3.4",
    "1.2.3.4 ",
    " 1.2.3.4",
    "0x1.2.3.4",
    "1..2.3",
    "-1.2.3.4",
  ];
  for (const text of [...quads, "fe80::1%eth0", "1::2::3"]) t.is(parseIp(text), null, text);
  for (const text of [...quads, "::1"]) t.is(parseIpv4(text), null, text);
  for (const text of [
    "",
    "10.0.0.0",
    "10.0.0.0/",
    "10.0.0.0/33",
    "10.0.0.0/08",
    "::/129",
    "10.0.0.0/-1",
    "10.0.0.0/8/8",
    "10.0.0/8",
    "/8",
    "10.0.0.0/ 8",
    "10.0.0.0/8x",
    "fe80::1%eth0/64",
  ]) {
    t.is(parseCidr(text), null, text);
  }
});

test("what node:net takes for an address is one", (t) => {
  fc.assert(
    fc.property(fc.oneof(fc.ipV4(), fc.ipV6()), (text) => {
      t.is(parseIp(text)?.family, isIP(text) === 0 ? undefined : isIP(text) === 4 ? 4 : 6, text);
    }),
  );
});

test("a subnet contains what node:net's BlockList says it contains", (t) => {
  fc.assert(
    fc.property(fc.ipV4(), fc.ipV4(), fc.integer({ min: 0, max: 32 }), fc.boolean(), (a, b, prefix, near) => {
      const base = parseCidr(`${a}/${prefix}`);
      if (base === null) return t.fail();
      const other = near ? formatIpv4(Number(lastAddress(base).value)) : b;
      const list = new BlockList();
      list.addSubnet(a, prefix, "ipv4");
      t.is(contains(base, ip(other)), list.check(other, "ipv4"));
    }),
  );
});

test("a subnet's own name and its broadcast address are no hosts, except on /31 and /32", (t) => {
  const net = cidr("10.1.2.130/25");
  t.deepEqual(networkAddress(net), ip("10.1.2.128"));
  t.deepEqual(lastAddress(net), ip("10.1.2.255"));
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

test("an IPv4 address is one number of 32 bits, in both directions", (t) => {
  t.is(parseIpv4("255.255.255.255"), 0xffffffff);
  t.is(parseIpv4("1.2.3.4"), 0x01020304);
  fc.assert(fc.property(fc.nat(0xffffffff), (value) => parseIpv4(formatIpv4(value)) === value));
});

test("a subnet keeps the address that it was written with", (t) => {
  t.deepEqual(parseCidr("10.0.0.2/24"), { family: 4, address: 0x0a000002n, prefixLength: 24 });
  t.is(familyOf("10.0.0.2/24"), 4);
  t.is(familyOf("fd00::2/64"), 6);
});

test("addresses become octets, and are compared, whatever their spelling", (t) => {
  const hex = (text: string) => Buffer.from(ipBytes(text)).toString("hex");
  t.is(hex("1.2.3.255"), "010203ff");
  t.is(hex("::"), "0".repeat(32));
  t.is(hex("::1"), `${"0".repeat(31)}1`);
  t.is(hex("2001:DB8::"), `20010db8${"0".repeat(24)}`);
  t.is(hex("::ffff:1.2.3.4"), `${"0".repeat(20)}ffff01020304`);
  t.is(hex("1:2:3:4:5:6:7:8"), "00010002000300040005000600070008");
  t.throws(() => ipBytes("1.2.3"), { instanceOf: RangeError });
  t.true(sameIp("fd00:0::2", "FD00::0002"));
  t.false(sameIp("::1.2.3.4", "1.2.3.4"));
  t.false(sameIp("::102:304", "1.2.3.4"));
  t.false(sameIp("", ""));
  const group = fc.integer({ min: 0, max: 0xffff });
  fc.assert(
    fc.property(fc.array(group, { minLength: 8, maxLength: 8 }), (groups) => {
      const text = groups.map((g) => g.toString(16)).join(":");
      const octets = groups.map((g) => g.toString(16).padStart(4, "0")).join("");
      t.is(hex(text), octets);
      const shortened = new URL(`http://[${text}]/`).hostname.slice(1, -1); // the URL standard's form: RFC 5952
      t.is(hex(shortened), octets, shortened);
    }),
  );
});
