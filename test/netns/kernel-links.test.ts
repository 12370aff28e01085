import { setTimeout as sleep } from "node:timers/promises";
import test from "ava";
import type { LinkCreate, LinkData, LinkSettings } from "../../daemon/kernel/kernel.ts";
import { nativeKernel } from "../../daemon/kernel/native.ts";
import { KernelError } from "../../daemon/kernel/kernel-error.ts";
import { ip, ipDo, makeLab } from "./kernel-lab.ts";

test("a veth is born with everything asked for, its peer in another namespace", async (t) => {
  const [host, pod] = [await makeLab(t), await makeLab(t)];
  const bridge = await host.ns.createLink({ name: "br0", kind: "bridge", up: true });
  t.is(bridge.peerIfindex, 0);
  const { ifindex, peerIfindex } = await host.ns.createLink({
    name: "v0",
    kind: "veth",
    alias: "portwright:test",
    mtu: 1400,
    mac: "02:00:00:00:00:01",
    txQueueLength: 333,
    promiscuous: true,
    noArp: true,
    noIpv6LinkLocal: true,
    master: bridge.ifindex,
    up: true,
    peer: { name: "eth0", netns: pod.handle, mac: "02:00:00:00:00:02", mtu: 1399 },
  });
  const [seen] = await ip(host, "link", "show", "dev", "v0");
  t.like(seen, {
    ifindex,
    link_index: peerIfindex,
    master: "br0",
    mtu: 1400,
    txqlen: 333,
    address: "02:00:00:00:00:01",
    ifalias: "portwright:test",
    inet6_addr_gen_mode: "none",
    linkinfo: { info_kind: "veth", info_slave_kind: "bridge" },
  });
  t.true(["UP", "PROMISC", "NOARP"].every((flag) => seen.flags.includes(flag)));
  const [peer] = await ip(pod, "link", "show", "dev", "eth0");
  t.like(peer, { ifindex: peerIfindex, link_index: ifindex, mtu: 1399, address: "02:00:00:00:00:02" });
  t.false(peer.flags.includes("UP"));
});

test("a link in another namespace is changed from here, and what comes next is done here again", async (t) => {
  const [host, pod] = [await makeLab(t), await makeLab(t)];
  const made = await host.ns.createLink({
    name: "v0",
    kind: "veth",
    up: true,
    peer: { name: "eth0", netns: pod.handle },
  });
  t.like(await host.ns.link({ name: "v0" }), { mac: made.mac });
  const { netlink } = host.ns.writes;
  const [, here] = await Promise.all([
    host.ns.changeLinkIn(pod.handle, { ifindex: made.peerIfindex }, { up: true, mtu: 1333 }),
    host.ns.links(),
  ]);
  t.deepEqual(
    here.map(({ name }) => name),
    ["lo", "v0"],
  );
  t.is(host.ns.writes.netlink, netlink + 1);
  t.like(await pod.ns.link({ name: "eth0" }), { up: true, mtu: 1333, carrier: true });
  await t.throwsAsync(host.ns.changeLinkIn(pod.handle, { name: "v0" }, { up: true }), { code: "ENODEV" } as never);
  t.is((await host.ns.link({ name: "v0" }))?.name, "v0", "also after a failure");
  const { handle } = await makeLab(t);
  handle.close();
  await t.throwsAsync(async () => await host.ns.changeLinkIn(handle, { ifindex: 1 }, { up: true }), {
    message: /handle is closed/,
  });
});

test("without a peer namespace both ends are here, and IFLA_LINK joins them", async (t) => {
  const { ns } = await makeLab(t);
  const { ifindex, peerIfindex } = await ns.createLink({ name: "a", kind: "veth", peer: { name: "b" } });
  t.like(await ns.link({ name: "a" }), { ifindex, link: peerIfindex, linkNetnsId: -1 });
  t.like(await ns.link({ ifindex: peerIfindex }), { name: "b", link: ifindex });
});

test("a link of ours whose maker died before it had its alias is known as ours; nobody else's is", async (t) => {
  const lab = await makeLab(t);
  const alias = "portwright bridge oob switch 0";
  await lab.ns.createLink({ name: "ours", kind: "bridge", alias });
  await lab.ns.createLink({ name: "theirs", kind: "bridge", alias: "a bridge" });
  t.is((await lab.ns.link({ name: "ours" }))?.alias, alias);
  for (const name of ["ours", "theirs"]) await ipDo(lab, "link", "set", name, "alias", "");
  t.is((await lab.ns.link({ name: "ours" }))?.alias, "portwright unnamed");
  t.is((await lab.ns.link({ name: "theirs" }))?.alias, "");
});

test("what the dump says is what ip says", async (t) => {
  const lab = await makeLab(t);
  await lab.ns.createLink({ name: "br0", kind: "bridge", mtu: 1450, alias: "a bridge" });
  await lab.ns.createLink({ name: "v0", kind: "veth", up: true, peer: { name: "v1" } });
  await ipDo(lab, "link", "property", "add", "dev", "v0", "altname", "a-second-name-longer-than-15-bytes");
  const links = await lab.ns.links();
  const oracle = await ip(lab, "-s", "link", "show");
  t.is(links.length, oracle.length);
  for (const expected of oracle) {
    const link = links.find((one) => one.ifindex === expected.ifindex);
    t.like(link, {
      name: expected.ifname,
      mtu: expected.mtu,
      minMtu: expected.min_mtu,
      maxMtu: expected.max_mtu,
      mac: expected.address,
      alias: expected.ifalias ?? "",
      altNames: expected.altnames ?? [],
      kind: expected.linkinfo?.info_kind ?? "",
      txQueueLength: expected.txqlen,
      promiscuity: expected.promiscuity,
      up: expected.flags.includes("UP"),
    });
    t.like(link?.stats, { rxPackets: expected.stats64.rx.packets, txBytes: expected.stats64.tx.bytes });
  }
});

test("a link that is not there is null", async (t) => {
  const { ns } = await makeLab(t);
  t.is(await ns.link({ name: "none" }), null);
  t.is(await ns.link({ ifindex: 9999 }), null);
});

test("changeLink sets, clears and renames; the kernel's view follows", async (t) => {
  const lab = await makeLab(t);
  const { ifindex } = await lab.ns.createLink({ name: "v0", kind: "veth", alias: "before", peer: { name: "v1" } });
  const bridge = await lab.ns.createLink({ name: "br0", kind: "bridge" });
  await lab.ns.changeLink(
    { name: "v0" },
    { name: "renamed", mtu: 1300, mac: "02:00:00:00:00:77", master: bridge.ifindex, alias: "after" },
  );
  t.like((await ip(lab, "link", "show", "dev", "renamed"))[0], {
    ifindex,
    mtu: 1300,
    master: "br0",
    address: "02:00:00:00:00:77",
    ifalias: "after",
  });
  await lab.ns.changeLink({ ifindex }, { master: 0, alias: "", up: true, noIpv6LinkLocal: true });
  const [seen] = await ip(lab, "link", "show", "dev", "renamed");
  t.is(seen.master, undefined);
  t.is(seen.ifalias, undefined);
  t.is(seen.inet6_addr_gen_mode, "none");
  t.true(seen.flags.includes("UP"));
  await lab.ns.changeLink({ ifindex }, { up: false });
  t.false((await lab.ns.link({ ifindex }))?.up);
});

test("no link-local address appears when it was refused at birth, and one does otherwise", async (t) => {
  const lab = await makeLab(t);
  await lab.ns.createLink({ name: "v0", kind: "veth", up: true, noIpv6LinkLocal: true, peer: { name: "v1" } });
  await lab.ns.createLink({ name: "w0", kind: "veth", up: true, peer: { name: "w1" } });
  await lab.ns.changeLink({ name: "v1" }, { up: true, noIpv6LinkLocal: true });
  await lab.ns.changeLink({ name: "w1" }, { up: true });
  const linkLocal = async (name: string) => (await ip(lab, "addr", "show", "dev", name))[0].addr_info.length;
  t.deepEqual(await Promise.all(["v0", "v1"].map(linkLocal)), [0, 0]);
  t.deepEqual(await Promise.all(["w0", "w1"].map(linkLocal)), [1, 1]);
});

test("an MTU too small for IPv6 does not stop a link that wants no link-local address", async (t) => {
  const { ns } = await makeLab(t);
  await t.notThrowsAsync(
    ns.createLink({ name: "v0", kind: "veth", mtu: 1000, up: true, noIpv6LinkLocal: true, peer: { name: "v1" } }),
  );
  t.true((await ns.link({ name: "v0" }))?.up);
});

test("bridge attributes are set at birth, changed, and read back", async (t) => {
  const lab = await makeLab(t);
  const data = {
    forwardDelay: 200,
    ageingTime: 12000,
    groupFwdMask: 8,
    mcastSnooping: false,
    nfCallIptables: false,
    nfCallIp6tables: false,
    nfCallArptables: false,
    priority: 4096,
    stpState: 1,
  };
  const { ifindex } = await lab.ns.createLink({ name: "br0", kind: "bridge", data });
  t.like((await lab.ns.link({ ifindex }))?.data, data);
  t.like((await ip(lab, "link", "show", "dev", "br0"))[0].linkinfo.info_data, {
    forward_delay: 200,
    ageing_time: 12000,
    group_fwd_mask: "0x8",
    mcast_snooping: 0,
    nf_call_iptables: 0,
    priority: 4096,
    stp_state: 1,
  });
  await lab.ns.changeLink({ name: "br0" }, { data: { mcastSnooping: true, ageingTime: 0 } });
  t.like((await ip(lab, "link", "show", "dev", "br0"))[0].linkinfo.info_data, { mcast_snooping: 1, ageing_time: 0 });
});

test("VXLAN attributes: big-endian port, addresses, flags", async (t) => {
  const lab = await makeLab(t);
  const data = { id: 4242, local: "192.0.2.1", group: "192.0.2.2", port: 4789, learning: false, ttl: 7 };
  const { ifindex } = await lab.ns.createLink({ name: "vx0", kind: "vxlan", data });
  t.like((await ip(lab, "link", "show", "dev", "vx0"))[0].linkinfo.info_data, {
    id: 4242,
    local: "192.0.2.1",
    remote: "192.0.2.2",
    port: 4789,
    learning: false,
    ttl: 7,
  });
  t.like((await lab.ns.link({ ifindex }))?.data, data);
});

test("link data that is unknown, of the wrong type or out of range is EINVAL by name, and nothing is sent", async (t) => {
  const { ns } = await makeLab(t);
  const bad: readonly [string, Record<string, number | string | boolean>, string][] = [
    ["bridge", { frobnicate: 1 }, "bridge.frobnicate"],
    ["bridge", { mcastSnooping: 1 }, "bridge.mcastSnooping"],
    ["bridge", { priority: 65536 }, "bridge.priority"],
    ["bridge", { priority: -1 }, "bridge.priority"],
    ["bridge", { priority: 1.5 }, "bridge.priority"],
    ["bridge", { priority: Number.NaN }, "bridge.priority"],
    ["bridge", { priority: "1" }, "bridge.priority"],
    ["vxlan", { id: 1, local: "fd00::1" }, "vxlan.local"],
    ["vxlan", { id: 1, local: "here" }, "vxlan.local"],
    ["dummy", { id: 1 }, "dummy.id"],
  ];
  for (const [kind, data, object] of bad) {
    const error = await t.throwsAsync(ns.createLink({ name: "x", kind, data }), { instanceOf: KernelError }, object);
    t.is(error?.code, "EINVAL");
    t.is(error?.object, object);
  }
  t.is(ns.writes.netlink, 0);
});

test("what does not fit is refused before anything is sent, with the reason", async (t) => {
  const { ns } = await makeLab(t);
  const veth = (extra: object) => ({ name: "v", kind: "veth", peer: { name: "w" }, ...extra }) as LinkCreate;
  const bad: readonly [LinkCreate, RegExp][] = [
    [veth({ name: "a234567890120006" }), /at most 15 bytes; this one has 16/],
    [veth({ name: "ééééééé€" }), /at most 15 bytes; this one has 17/],
    [veth({ peer: { name: "a234567890120006" } }), /at most 15 bytes/],
    [veth({ name: "" }), /empty/],
    [veth({ name: ".." }), /not an interface name/],
    [veth({ name: "a/b" }), /slash/],
    [veth({ name: "a b" }), /white space/],
    [veth({ name: "a\0b" }), /NUL/],
    [veth({ alias: "x".repeat(256) }), /at most 255 bytes/],
    [veth({ mac: "02:00:00:00:00" }), /not a MAC address/],
    [veth({ mac: "02-00-00-00-00-01" }), /not a MAC address/],
    [veth({ mtu: -1 }), /integer from 0/],
    [veth({ mtu: 1e10 }), /integer from 0/],
    [veth({ up: 1 }), /true or false/],
    [{ name: "b", kind: "bridge", peer: { name: "w" } }, /only a veth/],
  ];
  for (const [spec, reason] of bad) {
    const error = await t.throwsAsync(ns.createLink(spec), { instanceOf: KernelError }, JSON.stringify(spec));
    t.is(error?.code, "EINVAL");
    t.regex(error?.kernelText ?? "", reason);
  }
  await t.throwsAsync(ns.link({ name: "a234567890120006" }), { message: /at most 15 bytes/ });
  await t.throwsAsync(ns.changeLink({ name: "lo" }, { name: "a234567890120006" }), { message: /at most 15 bytes/ });
  t.is(ns.writes.netlink, 0);
  await t.notThrowsAsync(ns.createLink({ name: "a23456789012000", kind: "bridge" }));
});

test("the kernel's own words reach the error", async (t) => {
  const { ns } = await makeLab(t);
  const vxlan = await t.throwsAsync(ns.createLink({ name: "vx", kind: "vxlan" }), { instanceOf: KernelError });
  t.like(vxlan, { code: "EINVAL", errno: 22, op: "RTM_NEWLINK", object: "vx" });
  t.regex(vxlan?.kernelText ?? "", /Required attributes not provided/);
  t.regex(vxlan?.message ?? "", /^RTM_NEWLINK vx: Invalid argument: Required attributes/);
  const kind = await t.throwsAsync(ns.createLink({ name: "x", kind: "nosuchkind" }), { instanceOf: KernelError });
  t.like(kind, { code: "EOPNOTSUPP", kernelText: "Unknown device type" });
  await ns.createLink({ name: "br0", kind: "bridge" });
  const mtu = await t.throwsAsync(ns.changeLink({ name: "br0" }, { mtu: 10 }), { instanceOf: KernelError });
  t.like(mtu, { code: "EINVAL", object: "br0", kernelText: "mtu less than device minimum" });
  t.is(
    (await t.throwsAsync(ns.createLink({ name: "br0", kind: "bridge" }), { instanceOf: KernelError }))?.code,
    "EEXIST",
  );
  t.is((await t.throwsAsync(ns.changeLink({ name: "no" }, { up: true }), { instanceOf: KernelError }))?.code, "ENODEV");
});

test("a link whose settings fail after its creation is taken back", async (t) => {
  const { ns } = await makeLab(t);
  // Two VXLAN devices on one port share its socket only if their extensions agree: the second one is made, then cannot
  // come up.
  const vxlan = (name: string, data: LinkData): LinkCreate => ({ name, kind: "vxlan", up: true, data });
  await ns.createLink(vxlan("vx0", { id: 1, port: 4789 }));
  const error = await t.throwsAsync(ns.createLink(vxlan("vx1", { id: 2, port: 4789, gbp: true })), {
    instanceOf: KernelError,
  });
  t.is(error?.code, "EADDRINUSE");
  t.is(await ns.link({ name: "vx1" }), null);
});

test("settings that ask for nothing send nothing", async (t) => {
  const { ns } = await makeLab(t);
  const { ifindex } = await ns.createLink({ name: "br0", kind: "bridge" });
  const before = ns.writes.netlink;
  await ns.changeLink({ ifindex }, {});
  await ns.changeLink({ ifindex }, { data: {} });
  await ns.links();
  await ns.link({ ifindex });
  t.is(ns.writes.netlink, before);
  await ns.changeLink({ ifindex }, { mtu: 1400 });
  t.is(ns.writes.netlink, before + 1);
});

test("a link moves to another namespace, or is born there", async (t) => {
  const [a, b] = [await makeLab(t), await makeLab(t)];
  await a.ns.createLink({ name: "v0", kind: "veth", peer: { name: "v1" } });
  await a.ns.changeLink({ name: "v1" }, { netns: b.handle, name: "eth0", up: true });
  t.is(await a.ns.link({ name: "v1" }), null);
  t.true((await b.ns.link({ name: "eth0" }))?.up);
  const settings: LinkSettings = { netns: b.handle, up: true, alias: "born abroad", noIpv6LinkLocal: true };
  const { ifindex } = await a.ns.createLink({ name: "br9", kind: "bridge", ...settings });
  t.like(await b.ns.link({ name: "br9" }), { ifindex, alias: "born abroad", up: true });
  t.is(await a.ns.link({ name: "br9" }), null);
  const error = await t.throwsAsync(a.ns.createLink({ name: "br9", kind: "bridge", netns: b.handle }));
  t.regex(error?.message ?? "", /File exists/);
});

test("500 links are dumped whole while others come and go", async (t) => {
  const { ns, handle } = await makeLab(t);
  const other = await nativeKernel().enter(handle);
  t.teardown(() => other.close());
  const names = Array.from({ length: 250 }, (_, i) => `v${i}`);
  await Promise.all(names.map((name) => ns.createLink({ name, kind: "veth", peer: { name: `p${name}` } })));
  // A dump that a change tears is taken anew: between two changes one must have the time to come through.
  const begin = performance.now();
  await ns.links();
  const pause = performance.now() - begin;
  let stop = false;
  const churn = (async () => {
    while (!stop) {
      await other.createLink({ name: "churn", kind: "veth", peer: { name: "churn1" } });
      await other.deleteLink({ name: "churn" });
      await sleep(pause);
    }
  })();
  try {
    for (let i = 0; i < 10; i++) {
      const links = await ns.links();
      const seen = new Set(links.map((link) => link.name));
      t.is(seen.size, links.length, "none twice");
      t.true(names.every((name) => seen.has(name) && seen.has(`p${name}`)));
    }
  } finally {
    stop = true;
    await churn;
  }
});
