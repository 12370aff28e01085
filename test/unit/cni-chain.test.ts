/** prevResult in, prevResult out: what other plugins said passes as it came, in every version. */
import test from "ava";
import { chainedResult, parsePrevious } from "../../daemon/attach/chain.ts";
import { Fields } from "../../daemon/attach/decode.ts";
import type { CniResult } from "../../daemon/attach/result.ts";
import { type CniVersion, cniVersions } from "../../daemon/attach/version.ts";
import { baseConf, cni } from "../support/attach-fakes.ts";
import { host, ipamConf } from "../support/attach-checks.ts";

const own: CniResult = {
  interfaces: [{ name: "oob-br" }, { name: "pw1", mtu: 1500 }, { name: "eth1", sandbox: "/ns/a" }],
  ips: [{ address: "10.0.0.2/24", gateway: "10.0.0.1", interface: 2 }],
  routes: [{ dst: "0.0.0.0/0" }],
  dns: {},
};

function chain(raw: object, version: CniVersion, mine: CniResult = own) {
  const previous = JSON.parse(JSON.stringify(raw));
  return chainedResult(parsePrevious(new Fields(previous, "prevResult", "CNI_CONFIG"), previous), mine, version);
}

const before = {
  cniVersion: "1.0.0",
  interfaces: [{ name: "tap0", mac: "02:00:00:00:00:77", vendor: { queue: [1, 2] } }],
  ips: [{ address: "10.1.0.1/8", interface: 0, lease: 1.5 }, { address: "fd00::1/64" }],
  routes: [{ dst: "10.9.0.0/16", gw: "10.1.0.9", table: 7 }],
  dns: { domain: "x", extra: true },
  "example.org/note": null,
};

test("what came before stays verbatim, ours is appended, its indexes move along", (t) => {
  t.deepEqual(chain(before, "1.0.0"), {
    ...before,
    interfaces: [...before.interfaces, ...own.interfaces],
    ips: [...before.ips, { ...own.ips[0], interface: 3 }],
    routes: [...before.routes, ...own.routes],
  });
});

test("dns of ours wins if there is one", (t) => {
  t.like(chain(before, "1.0.0", { ...own, dns: { nameservers: ["10.0.0.53"] } }), {
    dns: { nameservers: ["10.0.0.53"] },
  });
  const { dns: _, ...without } = before;
  t.like(chain(without, "1.0.0"), { dns: {} });
});

test("lists that nobody has anything for do not appear, empty ones stay", (t) => {
  const l2 = { ...own, ips: [], routes: [] };
  t.deepEqual(Object.keys(chain({ cniVersion: "1.1.0", routes: [] }, "1.1.0", l2)).toSorted(), [
    "cniVersion",
    "dns",
    "interfaces",
    "routes",
  ]);
});

test("a result in another version's form is brought into the one of the configuration", (t) => {
  t.like(chain(before, "0.4.0"), {
    cniVersion: "0.4.0",
    interfaces: [{ name: "tap0", mac: "02:00:00:00:00:77" }, { name: "oob-br" }, { name: "pw1" }, own.interfaces[2]],
    ips: [
      { version: "4", address: "10.1.0.1/8", interface: 0 },
      { version: "6", address: "fd00::1/64" },
      { version: "4", address: "10.0.0.2/24", gateway: "10.0.0.1", interface: 3 },
    ],
  });
  const old = { ip4: { ip: "10.1.0.1/8", routes: [{ dst: "10.9.0.0/16" }] }, dns: {} };
  t.like(chain(old, "1.0.0"), {
    ips: [{ address: "10.1.0.1/8" }, { address: "10.0.0.2/24", gateway: "10.0.0.1", interface: 2 }],
    routes: [{ dst: "10.9.0.0/16" }, { dst: "0.0.0.0/0" }],
  });
  t.false("ip4" in chain(old, "1.0.0"));
});

test("up to 0.2.0 the address that was there first stays, and ours fills what is empty", (t) => {
  for (const version of ["0.1.0", "0.2.0"] as const) {
    const four = { cniVersion: version, ip4: { ip: "10.1.0.1/8", lease: 5 }, dns: { domain: "x" } };
    t.deepEqual(chain(four, version), four);
    const six = { cniVersion: version, ip6: { ip: "fd00::1/64" }, dns: {} };
    t.deepEqual(chain(six, version), {
      ...six,
      ip4: { ip: "10.0.0.2/24", gateway: "10.0.0.1", routes: [{ dst: "0.0.0.0/0" }] },
    });
  }
});

test("ADD in a chain passes an existing tap on, CHECK and DEL go by what the chain made of it, in every version", async (t) => {
  for (const cniVersion of cniVersions.slice(2)) {
    const fake = host(t);
    const service = await fake.started();
    const prevResult = { cniVersion, interfaces: [{ name: "tap0", note: "kept" }], dns: {} };
    const conf = { ...ipamConf, cniVersion, prevResult };
    const added = await cni(service, { command: "ADD", conf });
    t.is(added.exitCode, 0, added.stdout);
    t.deepEqual(added.json.interfaces[0], { name: "tap0", note: "kept" });
    t.is(added.json.interfaces.length, 4);
    t.is(added.json.ips[0].interface, 3);
    // a plugin behind us added an interface in the host and an address that is on none of ours
    const later = {
      ...added.json,
      interfaces: [...added.json.interfaces, { name: "ifb0" }],
      ips: [...added.json.ips, { version: "4", address: "192.0.2.1/32", interface: 4 }],
    };
    if (cniVersion >= "0.4.0") {
      const checked = await cni(service, { command: "CHECK", conf: { ...conf, prevResult: later } });
      t.is(checked.stdout, "");
    }
    t.is((await cni(service, { command: "DEL", conf: { ...conf, prevResult: later } })).exitCode, 0);
    t.is(fake.ports.size, 0);
  }
});

test("a prevResult that is no result is refused by ADD, and nothing is made; DEL passes it over", async (t) => {
  const fake = host(t);
  const service = await fake.started();
  for (const prevResult of [[], "x", 1, { interfaces: {} }, { ips: [{ address: "x" }] }]) {
    const conf = { ...baseConf, prevResult };
    t.like((await cni(service, { command: "ADD", conf })).json, { code: 7 }, JSON.stringify(prevResult));
    t.is((await cni(service, { command: "DEL", conf })).exitCode, 0);
  }
  t.is(fake.ports.size, 0);
});
