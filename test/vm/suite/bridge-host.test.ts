// The daemon with --datapath bridge: the kernel's bridge switches, and bridge(8) says what is in it.
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import test from "ava";
import { BROADCAST, frame, station, text } from "../../peers/frames.ts";
import { metric } from "../../support/change.ts";
import { network as networkText, OOB, type Pod, type Tap, tap, TestHost } from "../../support/test-host.ts";
import { until } from "../../support/until.ts";

const run = promisify(execFile);
const inHost = (h: TestHost, ...command: string[]) => run("nsenter", [`--net=${h.host.path}`, ...command]);

interface Entry {
  readonly vlan: number;
  readonly vlanEnd?: number;
  readonly flags?: readonly string[];
}

/** By device, as bridge(8) lists them. */
async function vlans(h: TestHost): Promise<Readonly<Record<string, readonly Entry[]>>> {
  const { stdout } = await inHost(h, "bridge", "-json", "-compressvlans", "vlan", "show");
  const list: { ifname: string; vlans: Entry[] }[] = JSON.parse(stdout);
  const plain = ({ flags = [], ...entry }: Entry): Entry => (flags.length === 0 ? entry : { ...entry, flags });
  return Object.fromEntries(list.map(({ ifname, vlans: entries }) => [ifname, entries.map(plain)]));
}

const ACCESS = (vlan: number): readonly Entry[] => [{ vlan, flags: ["PVID", "Egress Untagged"] }];
const devOf = ({ result }: Pod): string => result.interfaces.find(({ name }) => name.startsWith("pw"))?.name ?? "";
// biome-ignore lint/suspicious/noExplicitAny: the oracle's own shape
async function linkOf(h: TestHost, name: string): Promise<any> {
  const { stdout } = await inHost(h, "ip", "-json", "-details", "link", "show", "dev", name);
  return JSON.parse(stdout)[0];
}

let counter = 0;

/** Sends, and says where it came out: "untagged" or the tag's VLAN, by name; the last frame of all shows that nothing is to come. */
async function sent(
  from: Tap,
  exits: Readonly<Record<string, Tap>>,
  spec: { tag?: number; dst?: string; src?: string } = {},
) {
  const mark = `mark ${counter++}.`;
  const tags = spec.tag === undefined ? [] : [{ vid: spec.tag }];
  await from.send(frame({ dst: spec.dst ?? BROADCAST, src: spec.src ?? station(1), tags, payload: text(mark) }));
  const seen = (): readonly string[] =>
    Object.entries(exits).flatMap(([name, { frames }]) =>
      frames
        .filter(({ data }) => Buffer.from(data).includes(mark))
        .map(({ vlan }) => `${name} ${vlan === undefined ? "untagged" : vlan.tci & 0xfff}`),
    );
  // A machine that is busy with other things delivers late.
  for (let silent = 0, known = 0; silent < (known > 0 ? 2 : 10); silent++) {
    await new Promise((resolve) => setTimeout(resolve, 200));
    if (seen().length > known) silent = 0;
    known = seen().length;
  }
  return seen().toSorted();
}

test.serial(
  "workloads have exactly their VLANs, no VLAN 1 is anywhere, and the bridge is as it should be",
  async (t) => {
    const h = await TestHost.start(t, { intent: OOB(), datapath: "bridge" });
    t.deepEqual(await vlans(h), {}, "nothing is in any VLAN before somebody wants one");
    const access = await h.add("access", { vlan: 100 });
    const trunk = await h.add("trunk", { vlan: 7, vlanTrunk: [{ minID: 200, maxID: 210 }, { id: 300 }] });
    const isolated = await h.add("isolated", { vlan: 100, portIsolation: true });
    const { uplink = "" } = (await h.status()).clusterNetworks[0] ?? {};
    t.deepEqual(await vlans(h), {
      [devOf(access)]: ACCESS(100),
      [devOf(isolated)]: ACCESS(100),
      [devOf(trunk)]: [...ACCESS(7), { vlan: 200, vlanEnd: 210 }, { vlan: 300 }],
      [uplink]: [{ vlan: 7 }, { vlan: 100 }, { vlan: 200, vlanEnd: 210 }, { vlan: 300 }],
    });
    const { linkinfo, address } = await linkOf(h, "oob-br");
    t.like(linkinfo.info_data, {
      ...{ vlan_filtering: 1, vlan_default_pvid: 0, stp_state: 0, forward_delay: 0, vlan_stats_per_port: 1 },
      ...{ nf_call_iptables: 0, nf_call_ip6tables: 0, nf_call_arptables: 0 },
    });
    t.like((await linkOf(h, devOf(isolated))).linkinfo.info_slave_data, { isolated: true, state: "forwarding" });
    t.like((await linkOf(h, devOf(access))).linkinfo.info_slave_data, {
      isolated: false,
      learning: true,
      hairpin: false,
    });
    const untagged = await h.add("untagged", { vlan: 0 });
    t.deepEqual((await vlans(h))[devOf(untagged)], ACCESS(1), "the native VLAN is for who asks for it");
    t.is((await linkOf(h, "oob-br")).address, address, "the bridge's MAC follows no port");
    t.like((await h.status()).datapath, { kind: "bridge", rung: "bridge" });
    for (const pod of [access, trunk, isolated, untagged]) await h.del(pod);
    await until(async () => Object.keys(await vlans(h)).length === 0);
    t.deepEqual(
      (await h.ports()).map(({ device, allowed }) => [device, allowed]),
      [[uplink, ""]],
    );
  },
);

test.serial("frames stay in their VLAN: native, tagged and isolated, on every port and on the wire", async (t) => {
  const h = await TestHost.start(t, { intent: OOB(), datapath: "bridge" });
  const confs = {
    a100: { vlan: 100 },
    b100: { vlan: 100 },
    a200: { vlan: 200 },
    native: { vlan: 0 },
    trunk: { vlan: 0, vlanTrunk: [{ id: 100 }, { id: 200 }] },
    i100: { vlan: 100, portIsolation: true },
    j100: { vlan: 100, portIsolation: true },
  };
  const taps: Record<string, Tap> = {};
  for (const [name, conf] of Object.entries(confs)) taps[name] = await tap(t, (await h.add(name, conf)).host, "eth0");
  taps["wire"] = await tap(t, h.wire, "nic0");
  const of = (name: string): Tap => {
    const found = taps[name];
    if (found === undefined) throw new Error(name);
    return found;
  };
  const others = (name: string) => Object.fromEntries(Object.entries(taps).filter(([one]) => one !== name));
  const from = (name: string, spec: { tag?: number; dst?: string; src?: string } = {}) =>
    sent(of(name), others(name), spec);
  await until(async () => (await from("a100")).includes("wire 100"));

  const all100 = ["a100 untagged", "b100 untagged", "i100 untagged", "j100 untagged", "trunk 100", "wire 100"];
  const but = (...names: string[]) => all100.filter((one) => !names.includes(one.split(" ")[0] ?? ""));
  t.deepEqual(await from("a100"), but("a100"));
  t.deepEqual(await from("i100"), but("i100", "j100"));
  t.deepEqual(await from("wire", { tag: 100 }), but("wire"));
  t.deepEqual(await from("trunk", { tag: 100 }), but("trunk"));
  t.deepEqual(await from("wire"), ["native untagged"], "an untagged broadcast reaches nobody in VLAN 100");
  t.deepEqual(await from("native"), ["wire untagged"]);
  t.deepEqual(await from("a100", { tag: 200 }), [], "an access port takes no tag of another VLAN");
  t.deepEqual(await from("trunk"), [], "a trunk without a native VLAN takes no frame without a tag");
  t.deepEqual(await from("trunk", { tag: 300 }), []);
  t.deepEqual(await from("wire", { tag: 1 }), ["native untagged"]);
  t.deepEqual(await from("a200", { dst: station(77) }), ["trunk 200", "wire 200"], "unknown unicast is flooded");
  // station(1) was last heard at a200 in VLAN 200, and at the trunk in VLAN 100
  t.deepEqual(await from("wire", { tag: 200, dst: station(1), src: station(2) }), ["a200 untagged"]);

  const port = (await h.ports()).find(({ network: label, pvid }) => label === "net" && pvid === 200);
  const counted = port?.counters?.vlans.find(({ vlan }) => vlan === 200);
  t.true(Number(counted?.rxPackets) >= 1 && Number(counted?.txPackets) >= 1, JSON.stringify(port?.counters));
  t.true((port?.counters?.learned ?? 0) >= 1);
});

test.serial(
  "what somebody changes at a port is put right; a restart and quiet rounds write nothing and stop no frame",
  async (t) => {
    const h = await TestHost.start(t, { intent: OOB(), datapath: "bridge" });
    const a = await h.add("a", { vlan: 100 });
    const b = await h.add("b", { vlan: 100 });
    const [inA, inB] = [await tap(t, a.host, "eth0"), await tap(t, b.host, "eth0")];
    const dev = devOf(a);
    const good = await vlans(h);
    const isGood = async () => JSON.stringify(await vlans(h)) === JSON.stringify(good);
    await inHost(h, "ip", "link", "set", "dev", dev, "nomaster");
    await until(isGood);
    await inHost(h, "bridge", "vlan", "del", "dev", dev, "vid", "100");
    await until(isGood);
    await inHost(h, "bridge", "vlan", "add", "dev", dev, "vid", "1-20");
    await until(isGood);
    await inHost(h, "bridge", "link", "set", "dev", dev, "isolated", "on", "hairpin", "on");
    await until(async () => {
      const { isolated, hairpin } = (await linkOf(h, dev)).linkinfo.info_slave_data;
      return isolated === false && hairpin === false;
    });
    await inHost(h, "ip", "link", "set", "dev", "oob-br", "type", "bridge", "vlan_default_pvid", "1");
    await until(async () => (await linkOf(h, "oob-br")).linkinfo.info_data.vlan_default_pvid === 0);
    await inHost(h, "ip", "link", "set", "dev", "oob-br", "type", "bridge", "vlan_filtering", "0");
    await until(async () => (await linkOf(h, "oob-br")).linkinfo.info_data.vlan_filtering === 1);
    await inHost(h, "ip", "link", "del", "oob-br");
    await until(isGood);

    await until(async () => (await sent(inA, { b: inB })).length === 1);
    let lost = 0;
    const stream = setInterval(() => {
      lost++;
      void inA.send(frame({ dst: BROADCAST, src: station(1), payload: text("stream") })).catch(() => {});
    }, 10);
    t.teardown(() => clearInterval(stream));
    await h.restart();
    clearInterval(stream);
    await until(() => inB.frames.filter(({ data }) => Buffer.from(data).includes("stream")).length === lost);
    const writes = await metric(h, 'portwright_kernel_writes_total{subsystem="netlink"}');
    t.is(writes, 0, "after a start that found everything as it should be");
    t.is(await metric(h, 'portwright_kernel_writes_total{subsystem="bpf"}'), 0);
    t.true(await isGood());
  },
);

test.serial(
  "a host changes from the eBPF switch to the kernel's bridge and back, and its workloads go on",
  async (t) => {
    const h = await TestHost.start(t, { intent: OOB() });
    const a = await h.add("a", { vlan: 100 });
    const b = await h.add("b", { vlan: 100 });
    const [inA, inB, wire] = [await tap(t, a.host, "eth0"), await tap(t, b.host, "eth0"), await tap(t, h.wire, "nic0")];
    const goes = async () => (await sent(inA, { b: inB, wire })).join() === "b untagged,wire 100";
    t.deepEqual(await vlans(h), {}, "beside the eBPF switch the bridge is an anchor without ports");
    const { address } = await linkOf(h, "oob-br");
    await until(goes);
    await h.daemon.stop();
    h.datapath = "bridge";
    await h.start();
    t.deepEqual((await vlans(h))[devOf(a)], ACCESS(100));
    await until(goes);
    t.is((await linkOf(h, "oob-br")).address, address);
    await h.daemon.stop();
    h.datapath = "ebpf";
    await h.start();
    t.deepEqual(await vlans(h), {});
    await until(goes);
    const { bridge = "" } = (await h.status()).clusterNetworks[0] ?? {};
    t.is(bridge, "oob-br");
  },
);

test.serial("a limit of addresses, which the kernel's bridge has not, is said and cuts nobody off", async (t) => {
  const limited = networkText("limited", 100, "fdbLimit: 3");
  const h = await TestHost.start(t, { intent: `${OOB()}---${limited}`, datapath: "bridge" });
  const pod = await h.add("pod", { bridge: undefined, network: "limited" });
  t.deepEqual((await vlans(h))[devOf(pod)], ACCESS(100));
  await until(async () => (await h.status()).conditions.some(({ code }) => code === "PORT_UNSUPPORTED"));
  t.true((await h.status()).ready);
});
