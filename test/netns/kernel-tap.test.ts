// Taps: made by the addon through /dev/net/tun, in the namespace that its thread is in.
import test from "ava";
import { ip, makeLab } from "./kernel-lab.ts";

const PLAIN = { multiQueue: false, owner: null, group: null } as const;

test("a tap is born with everything asked for, and stays without anybody who has it open", async (t) => {
  const lab = await makeLab(t);
  const before = lab.ns.writes.netlink;
  const { ifindex, peerIfindex } = await lab.ns.createLink({
    name: "tap0",
    kind: "tun",
    tap: { multiQueue: true, owner: 107, group: 36 },
    alias: "portwright test",
    mac: "02:00:00:00:00:05",
    mtu: 4000,
    noArp: true,
    noIpv6LinkLocal: true,
    up: true,
  });
  t.is(peerIfindex, 0);
  t.true(lab.ns.writes.netlink > before);
  const [seen] = await ip(lab, "link", "show", "dev", "tap0");
  t.like(seen, {
    ifindex,
    mtu: 4000,
    address: "02:00:00:00:00:05",
    ifalias: "portwright test",
    inet6_addr_gen_mode: "none",
    linkinfo: {
      info_kind: "tun",
      info_data: { type: "tap", pi: false, vnet_hdr: true, multi_queue: true, persist: true, numqueues: 0 },
    },
  });
  t.true(seen.flags.includes("UP") && seen.flags.includes("NOARP") && seen.flags.includes("NO-CARRIER"));
  t.like((await lab.ns.link({ ifindex }))?.data, { owner: 107, group: 36, multiQueue: true, persist: true });
});

test("a tap of one queue, that only root opens", async (t) => {
  const { ns } = await makeLab(t);
  await ns.createLink({ name: "tap0", kind: "tun", tap: PLAIN });
  const data = (await ns.link({ name: "tap0" }))?.data;
  t.like(data, { multiQueue: false, persist: true, vnetHdr: true });
  t.deepEqual([data?.["owner"], data?.["group"]], [undefined, undefined]);
});

test("a name that any link has is EEXIST, and that link stays as it is", async (t) => {
  const { ns } = await makeLab(t);
  await ns.createLink({ name: "v0", kind: "veth", peer: { name: "v1" } });
  await ns.createLink({ name: "tap0", kind: "tun", tap: PLAIN, mtu: 1400 });
  for (const name of ["v0", "tap0"])
    await t.throwsAsync(ns.createLink({ name, kind: "tun", tap: PLAIN, mtu: 2000 }), { code: "EEXIST" });
  t.is((await ns.link({ name: "tap0" }))?.mtu, 1400);
  t.is((await ns.link({ name: "v0" }))?.kind, "veth");
});

test("nothing is left when the kernel refuses a setting", async (t) => {
  const { ns } = await makeLab(t);
  const error = await t.throwsAsync(ns.createLink({ name: "tap0", kind: "tun", tap: PLAIN, mtu: 40 }));
  t.like(error, { code: "EINVAL" });
  t.is(await ns.link({ name: "tap0" }), null);
});

test("a tap is made where its thread is, and only there", async (t) => {
  const [host, other] = [await makeLab(t), await makeLab(t)];
  await host.ns.createLink({ name: "tap0", kind: "tun", tap: PLAIN });
  t.is(await other.ns.link({ name: "tap0" }), null);
  await t.throwsAsync(host.ns.createLink({ name: "tap1", kind: "tun", tap: PLAIN, netns: other.handle }), {
    code: "EINVAL",
  });
  t.true(await host.ns.deleteLink({ name: "tap0" }));
});
