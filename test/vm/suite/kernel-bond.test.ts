// Bonds through the addon: every option, at birth and on a bond that is there, read back through the addon and by ip.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import test from "ava";
import type { LinkData } from "../../../daemon/kernel/kernel.ts";
import { KernelError } from "../../../daemon/kernel/kernel-error.ts";
import { packageRoot } from "../../../daemon/package-files.ts";
import { ip, type Lab, makeLab } from "../../netns/kernel-lab.ts";
import { until } from "../../support/until.ts";

const MODES = ["balance-rr", "active-backup", "balance-xor", "broadcast", "802.3ad", "balance-tlb", "balance-alb"];

/** Options that the kernel takes together, with values that are not its defaults; one set more than one mode. */
const OPTIONS: readonly { readonly title: string; readonly data: LinkData }[] = [
  {
    title: "link monitoring",
    data: { mode: 0, miimon: 50, updelay: 200, downdelay: 100, peerNotifDelay: 150, useCarrier: true },
  },
  {
    title: "ARP monitoring",
    data: {
      ...{ mode: 1, arpInterval: 500, arpIpTarget: "192.0.2.1,192.0.2.2", arpValidate: 3, arpAllTargets: 1 },
      ...{ missedMax: 5 },
    },
  },
  { title: "monitoring by neighbour solicitation", data: { mode: 1, arpInterval: 100, nsIp6Target: "2001:db8::1" } },
  {
    title: "active-backup",
    data: { mode: 1, miimon: 100, primaryReselect: 2, failOverMac: 1, numPeerNotif: 7, resendIgmp: 9 },
  },
  { title: "round robin", data: { mode: 0, packetsPerSlave: 17, allSlavesActive: 1, minLinks: 0, lpInterval: 3 } },
  { title: "xor", data: { mode: 2, xmitHashPolicy: 5, miimon: 100 } },
  {
    title: "LACP",
    data: {
      ...{ mode: 4, miimon: 100, lacpRate: 1, lacpActive: false, adSelect: 2, xmitHashPolicy: 1, minLinks: 2 },
      ...{ adActorSysPrio: 1000, adUserPortKey: 513, adActorSystem: "02:00:00:00:00:42" },
    },
  },
  { title: "TLB", data: { mode: 5, miimon: 100, tlbDynamicLb: false } },
];

const source = readFileSync(join(packageRoot(), "native/addon/link_data_tables.h"), "utf8");
const table = /constexpr Row kBond\[\] = \{([^;]*)\};/.exec(source)?.[1] ?? "";
const names = [...table.matchAll(/\{"(\w+)"/g)].map((match) => match[1] ?? "");

/** younger than 6.1, so read where the kernel tells them: coupledControl 6.9, broadcastNeighbor 6.17 */
const YOUNGER = ["coupledControl", "broadcastNeighbor"];
/** have tests of their own below */
const APART = ["primary", "activeSlave", "adInfo"];

test("every option of the addon's table is tested here", (t) => {
  t.true(names.length > 25, "the table was found");
  const tested = new Set([...OPTIONS.flatMap(({ data }) => Object.keys(data)), ...YOUNGER, ...APART]);
  t.deepEqual(
    names.filter((name) => !tested.has(name)),
    [],
  );
});

for (const [mode, name] of MODES.entries())
  test(`a bond of mode ${name} is made, and ip agrees`, async (t) => {
    const lab = await makeLab(t);
    const { ifindex } = await lab.ns.createLink({ name: "bond0", kind: "bond", data: { mode }, up: true });
    t.is((await lab.ns.link({ ifindex }))?.data.mode, mode);
    t.is((await ip(lab, "link", "show", "dev", "bond0"))[0].linkinfo.info_data.mode, name);
  });

for (const { title, data: all } of OPTIONS) {
  const data = Object.fromEntries(Object.entries(all).filter(([name]) => names.includes(name)));
  test(`${title}: options given at birth are read back`, async (t) => {
    const { ns } = await makeLab(t);
    const { ifindex } = await ns.createLink({ name: "bond0", kind: "bond", data });
    t.like((await ns.link({ ifindex }))?.data, data);
  });
  test(`${title}: options of a bond that is there are changed one by one`, async (t) => {
    const { ns } = await makeLab(t);
    const { mode = 0, ...rest } = data;
    const { ifindex } = await ns.createLink({ name: "bond0", kind: "bond", data: { mode } });
    for (const [name, value] of Object.entries(rest)) {
      await ns.changeLink({ ifindex }, { data: { [name]: value } });
      t.is((await ns.link({ ifindex }))?.data[name], value, name);
    }
    t.like((await ns.link({ ifindex }))?.data, data);
  });
}

test("ip reads the same options as the addon wrote", async (t) => {
  const lab = await makeLab(t);
  const data = {
    ...{ mode: 4, miimon: 100, updelay: 300, lacpRate: 1, adSelect: 1, xmitHashPolicy: 2, minLinks: 1 },
    ...{ adActorSysPrio: 1000, adUserPortKey: 513, adActorSystem: "02:00:00:00:00:42" },
  };
  await lab.ns.createLink({ name: "bond0", kind: "bond", data });
  t.like((await ip(lab, "link", "show", "dev", "bond0"))[0].linkinfo.info_data, {
    mode: "802.3ad",
    miimon: 100,
    updelay: 300,
    ad_lacp_rate: "fast",
    ad_select: "bandwidth",
    xmit_hash_policy: "layer2+3",
    min_links: 1,
    ad_actor_sys_prio: 1000,
    ad_user_port_key: 513,
    ad_actor_system: "02:00:00:00:00:42",
  });
});

test("the kernel's own words say why it refuses an option", async (t) => {
  const { ns } = await makeLab(t);
  const error = await t.throwsAsync(ns.createLink({ name: "bond0", kind: "bond", data: { mode: 1, lacpRate: 1 } }), {
    instanceOf: KernelError,
  });
  t.like(error, { code: "EACCES", op: "RTM_NEWLINK", object: "bond0" });
  t.is(await ns.link({ name: "bond0" }), null, "nothing is left of it");
});

test("members come and go, the active one and the primary are chosen by index", async (t) => {
  const lab = await makeLab(t);
  const { ns } = lab;
  const bond = await ns.createLink({ name: "bond0", kind: "bond", data: { mode: 1, miimon: 50 }, up: true });
  const [a, b] = [await member(lab, "a", bond.ifindex), await member(lab, "b", bond.ifindex)];
  await until(async () => (await ns.link({ name: "bond0" }))?.carrier === true);
  t.like(await ns.link({ ifindex: a }), { master: bond.ifindex, masterKind: "bond" });

  await ns.changeLink({ name: "bond0" }, { data: { primary: b } });
  await until(async () => (await ns.link({ name: "bond0" }))?.data.activeSlave === b);
  t.is((await ns.link({ name: "bond0" }))?.data.primary, b);
  await ns.changeLink({ name: "bond0" }, { data: { primaryReselect: 2 } });
  await ns.changeLink({ name: "bond0" }, { data: { activeSlave: a } });
  t.is((await ns.link({ name: "bond0" }))?.data.activeSlave, a);

  await ns.changeLink({ ifindex: a }, { master: 0 });
  t.like(await ns.link({ ifindex: a }), { master: 0, masterKind: "" });
  t.is((await ns.link({ name: "bond0" }))?.data.activeSlave, b);
});

test("two bonds agree by LACP over two cables", async (t) => {
  const [here, there] = [await makeLab(t), await makeLab(t)];
  const data = { mode: 4, miimon: 50, lacpRate: 1 };
  const bonds = await Promise.all(
    [here, there].map(({ ns }) => ns.createLink({ name: "bond0", kind: "bond", data, up: true })),
  );
  for (const name of ["n0", "n1"]) {
    const { peerIfindex } = await here.ns.createLink({
      ...{ name, kind: "veth", master: bonds[0]?.ifindex ?? 0 },
      peer: { name, netns: there.handle },
    });
    await there.ns.changeLink({ ifindex: peerIfindex }, { master: bonds[1]?.ifindex ?? 0 });
  }
  const partner = (await there.ns.link({ name: "bond0" }))?.mac;
  const info = async () => (await ip(here, "link", "show", "dev", "bond0"))[0].linkinfo.info_data.ad_info;
  await until(async () => (await info())?.partner_mac === partner, 60_000);
  await until(async () => (await info())?.num_ports === 2, 60_000);
  t.pass();
});

/** one end of a cable, made a member of the bond */
async function member({ ns }: Lab, name: string, bond: number): Promise<number> {
  const { ifindex, peerIfindex } = await ns.createLink({ name, kind: "veth", peer: { name: `${name}-far` } });
  await ns.changeLink({ ifindex: peerIfindex }, { up: true });
  await ns.changeLink({ ifindex }, { master: bond });
  return ifindex;
}
