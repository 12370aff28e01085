/** CNI results and versions: exact forms of every version, there and back. */
import test from "ava";
import fc from "fast-check";
import { Fields, parseJsonObject } from "../../daemon/attach/decode.ts";
import { type CniResult, formatResult, parseResult } from "../../daemon/attach/result.ts";
import { cniVersions, requireVerb, requireVersion } from "../../daemon/attach/version.ts";
import { PortwrightError } from "../../daemon/errors.ts";

const full: CniResult = {
  interfaces: [
    { name: "oob-br", mac: "02:00:00:00:00:0b" },
    { name: "pw1", mac: "02:00:00:00:00:01", mtu: 1500 },
    { name: "eth0", mac: "02:00:00:00:00:02", mtu: 1500, sandbox: "/ns/a" },
  ],
  ips: [
    { address: "10.0.0.2/24", gateway: "10.0.0.1", interface: 2 },
    { address: "10.0.1.2/24", interface: 2 },
    { address: "fd00::2/64", gateway: "fd00::1", interface: 2 },
  ],
  routes: [{ dst: "0.0.0.0/0", priority: 5 }, { dst: "10.5.0.0/16", gw: "10.0.0.9" }, { dst: "::/0" }],
  dns: { nameservers: ["10.0.0.53"] },
};

const read = (value: object) =>
  parseResult(new Fields(parseJsonObject(JSON.stringify(value), "x", "CNI_CONFIG"), "prevResult", "CNI_CONFIG"));

test("0.1.0 and 0.2.0 carry the first address of each family with its routes", (t) => {
  for (const version of ["0.1.0", "0.2.0"] as const) {
    t.deepEqual(formatResult(full, version), {
      cniVersion: version,
      ip4: {
        ip: "10.0.0.2/24",
        gateway: "10.0.0.1",
        routes: [{ dst: "0.0.0.0/0" }, { dst: "10.5.0.0/16", gw: "10.0.0.9" }],
      },
      ip6: { ip: "fd00::2/64", gateway: "fd00::1", routes: [{ dst: "::/0" }] },
      dns: { nameservers: ["10.0.0.53"] },
    });
  }
});

test("0.3.0 to 0.4.0 carry ips[].version and no MTU", (t) => {
  for (const version of ["0.3.0", "0.3.1", "0.4.0"] as const) {
    t.deepEqual(formatResult(full, version), {
      cniVersion: version,
      interfaces: [
        { name: "oob-br", mac: "02:00:00:00:00:0b" },
        { name: "pw1", mac: "02:00:00:00:00:01" },
        { name: "eth0", mac: "02:00:00:00:00:02", sandbox: "/ns/a" },
      ],
      ips: [
        { version: "4", address: "10.0.0.2/24", gateway: "10.0.0.1", interface: 2 },
        { version: "4", address: "10.0.1.2/24", interface: 2 },
        { version: "6", address: "fd00::2/64", gateway: "fd00::1", interface: 2 },
      ],
      routes: [{ dst: "0.0.0.0/0" }, { dst: "10.5.0.0/16", gw: "10.0.0.9" }, { dst: "::/0" }],
      dns: { nameservers: ["10.0.0.53"] },
    });
  }
});

test("1.0.0 and 1.1.0 carry everything, without ips[].version", (t) => {
  for (const cniVersion of ["1.0.0", "1.1.0"] as const)
    t.deepEqual(formatResult(full, cniVersion), { cniVersion, ...full });
});

test("a layer 2 result can be told in every version", (t) => {
  const l2: CniResult = { interfaces: [{ name: "eth0", sandbox: "/ns/a" }], ips: [], routes: [], dns: {} };
  t.deepEqual(formatResult(l2, "0.1.0"), { cniVersion: "0.1.0", dns: {} });
  t.deepEqual(formatResult(l2, "0.4.0"), { cniVersion: "0.4.0", interfaces: l2.interfaces, dns: {} });
});

test("what is written in any version is read back, less what the version cannot hold", (t) => {
  const octet = fc.integer({ min: 0, max: 255 });
  const ip = fc.record({
    address: fc.tuple(octet, octet, fc.integer({ min: 0, max: 32 })).map(([a, b, n]) => `10.${a}.${b}.2/${n}`),
    interface: fc.constant(0),
  });
  const result = fc.record({
    interfaces: fc.constant([{ name: "eth0", mac: "02:00:00:00:00:02", sandbox: "/ns/a" }]),
    ips: fc.array(ip, { maxLength: 3 }),
    routes: fc.array(fc.record({ dst: fc.constantFrom("0.0.0.0/0", "10.0.0.0/8"), gw: fc.constant("10.0.0.1") }), {
      maxLength: 2,
    }),
    dns: fc.constantFrom({}, { domain: "example.org", search: ["a", "b"] }),
  });
  fc.assert(
    fc.property(result, fc.constantFrom(...cniVersions), (value, version) => {
      const back = read(formatResult(value, version));
      if (version > "0.2.0") t.deepEqual(back, value);
      else
        t.deepEqual(
          back.ips.map((i) => i.address),
          value.ips.slice(0, 1).map((i) => i.address),
        );
    }),
  );
  t.pass();
});

test("a result with a bad address is refused by its place", (t) => {
  const bad = (value: object) => t.throws(() => read(value), { instanceOf: PortwrightError })?.message;
  t.is(
    bad({ ips: [{ address: "10.0.0.1" }] }),
    'prevResult.ips[0].address must be an IP address with prefix length, not "10.0.0.1"',
  );
  t.is(
    bad({ ips: [{ address: "10.0.0.1/33" }] }),
    'prevResult.ips[0].address must be an IP address with prefix length, not "10.0.0.1/33"',
  );
  t.regex(bad({ ips: [{ address: "10.0.0.1/8", gateway: "fd00::1" }] }) ?? "", /gateway must be an IPv4 address/);
  t.regex(bad({ ip4: { ip: "fd00::1/64" } }) ?? "", /ip4.ip must be an IPv4/);
  t.regex(bad({ routes: [{ dst: "default" }] }) ?? "", /routes\[0\].dst must be an IP prefix/);
  t.regex(bad({ interfaces: [{}] }) ?? "", /interfaces\[0\].name is missing/);
});

test("versions match exactly; a missing one is 0.1.0", (t) => {
  t.is(requireVersion(undefined), "0.1.0");
  t.is(requireVersion(""), "0.1.0");
  for (const version of cniVersions) t.is(requireVersion(version), version);
  for (const version of ["1.0", "1.2.0", "v1.0.0", " 1.0.0"])
    t.throws(() => requireVersion(version), { message: /is not supported/ });
  for (const version of [1, {}, true])
    t.throws(() => requireVersion(version), { message: "cniVersion must be a string" });
  t.throws(() => requireVerb("CHECK", "0.3.1"), { message: "CHECK needs cniVersion 0.4.0 or later, not 0.3.1" });
  t.notThrows(() => requireVerb("CHECK", "0.4.0"));
  t.notThrows(() => requireVerb("ADD", "0.1.0"));
});
