import test from "ava";
import { KernelError } from "../../daemon/kernel/kernel-error.ts";
import { ip, type Lab, makeLab } from "./kernel-lab.ts";

const [AF_INET, AF_INET6, AF_BRIDGE] = [2, 10, 7];
const [NUD_REACHABLE, NUD_NOARP, NUD_PERMANENT] = [0x02, 0x40, 0x80]; // uapi/linux/neighbour.h
const NTF_MASTER = 0x04;

async function veth(lab: Lab): Promise<number> {
  const { ifindex, peerIfindex } = await lab.ns.createLink({
    name: "v0",
    kind: "veth",
    up: true,
    peer: { name: "v1" },
  });
  await lab.ns.changeLink({ ifindex: peerIfindex }, { up: true, noIpv6LinkLocal: true });
  return ifindex;
}

test("addresses of both families are added, listed and removed", async (t) => {
  const lab = await makeLab(t);
  const ifindex = await veth(lab);
  await lab.ns.addAddress({ ifindex, address: "192.0.2.1", prefixLength: 24 });
  await lab.ns.addAddress({ ifindex, address: "2001:db8::1", prefixLength: 64, noDad: true });
  const [seen] = await ip(lab, "addr", "show", "dev", "v0");
  const expected = seen.addr_info.map((one: { local: string; prefixlen: number }) => [one.local, one.prefixlen]);
  const listed = await lab.ns.addresses(ifindex);
  const byText = (a: unknown, b: unknown) => String(a).localeCompare(String(b));
  t.deepEqual(listed.map((one) => [one.address, one.prefixLength]).sort(byText), expected.sort(byText));
  t.true(listed.some((one) => one.family === 6 && one.address === "2001:db8::1" && (one.flags & 0x02) !== 0)); // NODAD
  t.true((await lab.ns.addresses()).some((one) => one.address === "127.0.0.1"));
  t.false(listed.some((one) => one.address === "127.0.0.1"));
  await lab.ns.removeAddress({ ifindex, address: "192.0.2.1", prefixLength: 24 });
  t.false((await lab.ns.addresses(ifindex)).some((one) => one.family === 4));
});

test("address errors name the address", async (t) => {
  const lab = await makeLab(t);
  const ifindex = await veth(lab);
  const spec = { ifindex, address: "192.0.2.1", prefixLength: 24 };
  await lab.ns.addAddress(spec);
  const again = await t.throwsAsync(lab.ns.addAddress(spec), { instanceOf: KernelError });
  t.like(again, { code: "EEXIST", op: "RTM_NEWADDR", object: "192.0.2.1/24" });
  const absent = await t.throwsAsync(lab.ns.removeAddress({ ...spec, address: "192.0.2.9" }), {
    instanceOf: KernelError,
  });
  t.like(absent, { code: "EADDRNOTAVAIL", object: "192.0.2.9/24" });
  for (const bad of [
    { ...spec, address: "192.0.2" },
    { ...spec, address: "192.0.2.256" },
    { ...spec, prefixLength: 33 },
    { ...spec, address: "fd00::1", prefixLength: 129 },
    { ...spec, address: "eth0" },
  ]) {
    t.is((await t.throwsAsync(lab.ns.addAddress(bad), { instanceOf: KernelError }))?.code, "EINVAL");
  }
});

test("routes: default, metric, MTU, other tables, IPv4 by an IPv6 router", async (t) => {
  const lab = await makeLab(t);
  const ifindex = await veth(lab);
  const { ns } = lab;
  await ns.addAddress({ ifindex, address: "192.0.2.1", prefixLength: 24 });
  await ns.addAddress({ ifindex, address: "2001:db8::1", prefixLength: 64, noDad: true });
  const wanted = [
    { destination: "0.0.0.0", prefixLength: 0, gateway: "192.0.2.254", metric: 77, mtu: 1300 },
    { destination: "198.51.100.0", prefixLength: 24, ifindex },
    { destination: "203.0.113.0", prefixLength: 24, gateway: "2001:db8::2", ifindex },
    { destination: "10.0.0.0", prefixLength: 8, gateway: "192.0.2.253", table: 1000 },
    { destination: "::", prefixLength: 0, gateway: "2001:db8::fe" },
  ];
  for (const route of wanted) await ns.addRoute(route);
  const routes = await ns.routes();
  for (const route of wanted) {
    t.truthy(
      routes.find((one) => Object.entries(route).every(([key, value]) => one[key as keyof typeof one] === value)),
      JSON.stringify(route),
    );
  }
  t.like((await ip(lab, "route", "show", "default"))[0], { gateway: "192.0.2.254", metric: 77, protocol: "static" });
  t.like((await ip(lab, "route", "show", "198.51.100.0/24"))[0], { dev: "v0", scope: "link" });
  t.like((await ip(lab, "route", "show", "203.0.113.0/24"))[0].via, { family: "inet6", host: "2001:db8::2" });
  t.is((await ip(lab, "route", "show", "table", "1000")).length, 1);
  t.is((await t.throwsAsync(ns.addRoute(wanted[0]!), { instanceOf: KernelError }))?.code, "EEXIST");
  for (const route of wanted) await ns.removeRoute(route);
  t.is((await ip(lab, "route", "show", "table", "1000")).length, 0);
  t.deepEqual(await ip(lab, "route", "show", "default"), []);
  const absent = await t.throwsAsync(ns.removeRoute(wanted[0]!), { instanceOf: KernelError });
  t.like(absent, { code: "ESRCH", op: "RTM_DELROUTE", object: "0.0.0.0/0" });
  const lost = await t.throwsAsync(ns.addRoute({ destination: "10.9.0.0", prefixLength: 16, gateway: "10.77.0.1" }), {
    instanceOf: KernelError,
  });
  t.like(lost, { code: "ENETUNREACH", kernelText: "Nexthop has invalid gateway" });
});

test("a route with several next hops is an entry for each", async (t) => {
  const lab = await makeLab(t);
  const ifindex = await veth(lab);
  await lab.ns.addAddress({ ifindex, address: "192.0.2.1", prefixLength: 24 });
  await ip(lab, "route", "add", "10.0.0.0/8", "nexthop", "via", "192.0.2.2", "nexthop", "via", "192.0.2.3");
  const hops = (await lab.ns.routes()).filter((route) => route.destination === "10.0.0.0");
  t.deepEqual(
    hops.map((hop) => [hop.gateway, hop.ifindex]),
    [
      ["192.0.2.2", ifindex],
      ["192.0.2.3", ifindex],
    ],
  );
});

test("neighbours are set, replaced, listed by link, and removed", async (t) => {
  const lab = await makeLab(t);
  const ifindex = await veth(lab);
  const entry = {
    ifindex,
    family: AF_INET,
    address: "192.0.2.7",
    mac: "02:00:00:00:00:07",
    state: NUD_PERMANENT,
    flags: 0,
  };
  await lab.ns.setNeighbour(entry);
  await lab.ns.setNeighbour({ ...entry, mac: "02:00:00:00:00:08", state: NUD_REACHABLE });
  await lab.ns.setNeighbour({ ...entry, family: AF_INET6, address: "2001:db8::7" });
  t.like(
    (await ip(lab, "neigh", "show", "dev", "v0")).find((one) => one.dst === "192.0.2.7"),
    {
      lladdr: "02:00:00:00:00:08",
      state: ["REACHABLE"],
    },
  );
  t.like(
    (await lab.ns.neighbours(AF_INET, ifindex)).find((one) => one.address === "192.0.2.7"),
    { mac: "02:00:00:00:00:08", state: NUD_REACHABLE, ifindex },
  );
  t.true((await lab.ns.neighbours(AF_INET6)).some((one) => one.address === "2001:db8::7"));
  t.deepEqual(await lab.ns.neighbours(AF_INET, 1), []);
  await lab.ns.removeNeighbour(entry);
  t.false((await lab.ns.neighbours(AF_INET)).some((one) => one.address === "192.0.2.7" && one.mac !== ""));
});

test("the bridge's forwarding database is read and written through AF_BRIDGE", async (t) => {
  const lab = await makeLab(t);
  const bridge = await lab.ns.createLink({ name: "br0", kind: "bridge", up: true });
  const port = await lab.ns.createLink({
    name: "v0",
    kind: "veth",
    up: true,
    master: bridge.ifindex,
    peer: { name: "v1" },
  });
  const entry = {
    ifindex: port.ifindex,
    family: AF_BRIDGE,
    address: "",
    mac: "02:00:00:00:00:99",
    state: NUD_NOARP,
    flags: NTF_MASTER,
  };
  await lab.ns.setNeighbour(entry);
  const find = async () =>
    (await lab.ns.neighbours(AF_BRIDGE, port.ifindex)).find((one) => one.mac === "02:00:00:00:00:99");
  t.like(await find(), { ifindex: port.ifindex, state: NUD_NOARP });
  await lab.ns.removeNeighbour(entry);
  t.is(await find(), undefined);
});

test("VLAN entries of a bridge are read and written, or refused by a kernel that cannot filter", async (t) => {
  const lab = await makeLab(t);
  const bridge = await lab.ns.createLink({ name: "br0", kind: "bridge" });
  const port = await lab.ns.createLink({ name: "v0", kind: "veth", master: bridge.ifindex, peer: { name: "v1" } });
  const entries = [
    { first: 10, last: 10, pvid: true, untagged: true },
    { first: 20, last: 22 },
  ];
  let filtering = true;
  await lab.ns.changeLink({ ifindex: bridge.ifindex }, { data: { vlanFiltering: true } }).catch((error) => {
    filtering = false;
    t.true(error instanceof KernelError);
  });
  for (const bad of [
    { first: 0, last: 1 },
    { first: 5, last: 4 },
    { first: 1, last: 4095 },
  ]) {
    const error = await t.throwsAsync(lab.ns.setBridgeVlans(port.ifindex, [bad]), { instanceOf: KernelError });
    t.is(error?.code, "EINVAL");
  }
  const range = await t.throwsAsync(lab.ns.setBridgeVlans(port.ifindex, [{ first: 1, last: 2, pvid: true }]));
  t.regex(range?.message ?? "", /one VLAN can be the PVID/);
  if (!filtering) {
    const error = await t.throwsAsync(lab.ns.setBridgeVlans(port.ifindex, entries), { instanceOf: KernelError });
    t.like(error, { code: "EOPNOTSUPP", op: "RTM_SETLINK", object: "v0" });
    t.deepEqual(await lab.ns.bridgeVlans(), []);
    return;
  }
  await lab.ns.setBridgeVlans(port.ifindex, entries);
  await lab.ns.setBridgeVlans(bridge.ifindex, [{ first: 20, last: 20 }]);
  await lab.ns.removeBridgeVlans(port.ifindex, [{ first: 22, last: 22 }]);
  const vlans = (await lab.ns.bridgeVlans()).filter((vlan) => vlan.vid !== 1);
  const of = (ifindex: number) => vlans.filter((vlan) => vlan.ifindex === ifindex);
  t.deepEqual(
    of(port.ifindex).map(({ vid, pvid, untagged }) => [vid, pvid, untagged]),
    [
      [10, true, true],
      [20, false, false],
      [21, false, false],
    ],
  );
  t.deepEqual(
    of(bridge.ifindex).map(({ vid }) => vid),
    [20],
  );
});
