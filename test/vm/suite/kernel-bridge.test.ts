// Bridges that filter VLANs: every attribute of the addon's table, and the filter's entries, with bridge(8) as witness.
import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import test, { type ExecutionContext } from "ava";
import type { BridgeVlan, LinkData } from "../../../daemon/kernel/kernel.ts";
import { packageRoot } from "../../../daemon/package-files.ts";
import { ip, type Lab, makeLab } from "../../netns/kernel-lab.ts";

const run = promisify(execFile);

/** Times are multiples of 1/25 s: the kernel keeps jiffies, of which there are 250 in a second. */
const DATA: LinkData = {
  ...{ forwardDelay: 0, helloTime: 120, maxAge: 1200, ageingTime: 12000, stpState: 0, priority: 4096 },
  ...{ vlanFiltering: true, vlanProtocol: 0x88a8, vlanDefaultPvid: 0, vlanStatsEnabled: true, vlanStatsPerPort: true },
  ...{ groupFwdMask: 8, groupAddr: "01:80:c2:00:00:0d", mcastRouter: 2, mcastSnooping: true },
  ...{
    mcastQueryUseIfaddr: true,
    mcastQuerier: true,
    mcastHashMax: 512,
    mcastLastMemberCnt: 3,
    mcastStartupQueryCnt: 5,
  },
  ...{ mcastLastMemberIntvl: 200, mcastMembershipIntvl: 20000, mcastQuerierIntvl: 20400, mcastQueryIntvl: 12400 },
  ...{ mcastQueryResponseIntvl: 1200, mcastStartupQueryIntvl: 3200, mcastStatsEnabled: true },
  ...{ mcastIgmpVersion: 3, mcastMldVersion: 2, nfCallIptables: true, nfCallIp6tables: true, nfCallArptables: true },
};
const READ_ONLY = ["rootPort", "rootPathCost", "topologyChange", "fdbNLearned"];
const YOUNGER = ["fdbMaxLearned"]; // 6.7

const source = readFileSync(join(packageRoot(), "native/addon/link_data_tables.h"), "utf8");
const table = /constexpr Row kBridge\[\] = \{([^;]*)\};/.exec(source)?.[1] ?? "";

test("every attribute of the addon's table is tested here", (t) => {
  const names = [...table.matchAll(/\{"(\w+)"/g)].map((match) => match[1] ?? "");
  const tested = new Set([...Object.keys(DATA), ...READ_ONLY, ...YOUNGER]);
  t.true(names.length > 30, "the table was found");
  t.deepEqual(
    names.filter((name) => !tested.has(name)),
    [],
  );
});

test("attributes given at birth are read back", async (t) => {
  const { ns } = await makeLab(t);
  const { ifindex } = await ns.createLink({ name: "br0", kind: "bridge", data: DATA });
  t.like((await ns.link({ ifindex }))?.data, DATA);
});

test("attributes of a bridge that is there are changed one by one", async (t) => {
  const { ns } = await makeLab(t);
  const { ifindex } = await ns.createLink({ name: "br0", kind: "bridge" });
  for (const [name, value] of Object.entries(DATA)) {
    await ns.changeLink({ ifindex }, { data: { [name]: value } });
    t.is((await ns.link({ ifindex }))?.data[name], value, name);
  }
});

test("the limit of learned addresses is set where the kernel has one", async (t) => {
  const { ns } = await makeLab(t);
  const { ifindex } = await ns.createLink({ name: "br0", kind: "bridge" });
  const before = (await ns.link({ ifindex }))?.data;
  if (before?.fdbMaxLearned === undefined) return t.is(before?.fdbNLearned, undefined);
  await ns.changeLink({ ifindex }, { data: { fdbMaxLearned: 1000 } });
  t.like((await ns.link({ ifindex }))?.data, { fdbMaxLearned: 1000, fdbNLearned: 0 });
});

interface Filter {
  readonly lab: Lab;
  readonly bridge: number;
  readonly ports: readonly number[];
  of(ifindex: number): Promise<Omit<BridgeVlan, "ifindex">[]>;
}

/** `br0` with the ports `p0` and `p1`, and no VLAN but those asked for. */
async function filter(t: ExecutionContext, data: LinkData = { vlanDefaultPvid: 0 }): Promise<Filter> {
  const lab = await makeLab(t);
  const { ns } = lab;
  const bridge = await ns.createLink({ name: "br0", kind: "bridge", up: true, data: { vlanFiltering: true, ...data } });
  const ports = [];
  for (const name of ["p0", "p1"])
    ports.push((await ns.createLink({ name, kind: "dummy", master: bridge.ifindex })).ifindex);
  const of = async (ifindex: number) =>
    (await ns.bridgeVlans())
      .filter((one) => one.ifindex === ifindex)
      .map(({ vid, pvid, untagged }) => ({ vid, pvid, untagged }));
  return { lab, bridge: bridge.ifindex, ports, of };
}

// biome-ignore lint/suspicious/noExplicitAny: the oracle's own shape
async function vlansByTool(lab: Lab, dev: string): Promise<any[]> {
  const { stdout } = await run("bridge", ["-n", lab.name, "-json", "vlan", "show", "dev", dev]);
  return JSON.parse(stdout)[0]?.vlans ?? [];
}

const tagged = (vid: number) => ({ vid, pvid: false, untagged: false });

test("with default PVID 0 no VLAN 1 comes by itself; with the kernel's default it does", async (t) => {
  const none = await filter(t);
  t.deepEqual(await none.lab.ns.bridgeVlans(), []);
  const usual = await filter(t, {});
  const one = { vid: 1, pvid: true, untagged: true };
  t.deepEqual(await usual.of(usual.ports[0] ?? 0), [one]);
  t.deepEqual(await usual.of(usual.bridge), [one]);
});

test("entries of a port are set, read and removed, and bridge(8) agrees", async (t) => {
  const { lab, ports, of } = await filter(t);
  const [port = 0, other = 0] = ports;
  await lab.ns.setBridgeVlans(port, [
    { first: 10, last: 12 },
    { first: 100, last: 100, pvid: true, untagged: true },
    { first: 200, last: 200, untagged: true },
  ]);
  const bare = { vid: 200, pvid: false, untagged: true };
  const native = { vid: 100, pvid: true, untagged: true };
  t.deepEqual(await of(port), [tagged(10), tagged(11), tagged(12), native, bare]);
  t.deepEqual(await of(other), []);
  t.deepEqual(await vlansByTool(lab, "p0"), [
    { vlan: 10 },
    { vlan: 11 },
    { vlan: 12 },
    { vlan: 100, flags: ["PVID", "Egress Untagged"] },
    { vlan: 200, flags: ["Egress Untagged"] },
  ]);
  await lab.ns.removeBridgeVlans(port, [
    { first: 11, last: 12 },
    { first: 100, last: 100 },
  ]);
  t.deepEqual(await of(port), [tagged(10), bare]);
});

test("the bridge's own entries are set and removed", async (t) => {
  const { lab, bridge, of } = await filter(t);
  await lab.ns.setBridgeVlans(bridge, [{ first: 7, last: 8 }]);
  t.deepEqual(await of(bridge), [tagged(7), tagged(8)]);
  t.like((await vlansByTool(lab, "br0"))[0], { vlan: 7 });
  await lab.ns.removeBridgeVlans(bridge, [{ first: 7, last: 7 }]);
  t.deepEqual(await of(bridge), [tagged(8)]);
});

test("a port in all VLANs, and in every second one, is read back whole", async (t) => {
  const { lab, ports, of } = await filter(t);
  const [all = 0, half = 0] = ports;
  await lab.ns.setBridgeVlans(all, [{ first: 1, last: 4094 }]);
  const even = Array.from({ length: 2047 }, (_, i) => 2 * i + 2);
  await lab.ns.setBridgeVlans(
    half,
    even.map((vid) => ({ first: vid, last: vid })),
  );
  t.is((await of(all)).length, 4094);
  t.deepEqual(await of(half), even.map(tagged));
});

test("a new PVID takes the place of the one before", async (t) => {
  const { lab, ports, of } = await filter(t);
  const [port = 0] = ports;
  const access = (vid: number) => [{ first: vid, last: vid, pvid: true, untagged: true }];
  await lab.ns.setBridgeVlans(port, access(10));
  await lab.ns.setBridgeVlans(port, access(20));
  t.deepEqual(
    (await of(port)).filter(({ pvid }) => pvid).map(({ vid }) => vid),
    [20],
  );
});

test("bridge-nf is off for one bridge, whatever the host's setting is", async (t) => {
  const lab = await makeLab(t);
  const data = { nfCallIptables: false, nfCallIp6tables: false, nfCallArptables: false };
  const { ifindex } = await lab.ns.createLink({ name: "br0", kind: "bridge", data });
  t.like((await lab.ns.link({ ifindex }))?.data, data);
  t.is((await ip(lab, "link", "show", "dev", "br0"))[0].linkinfo.info_data.nf_call_iptables, 0);
});
