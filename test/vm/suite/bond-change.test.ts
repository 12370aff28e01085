// Changes of a bond by the daemon's commands, and their ways back: by time, by a probe, by kill -9, by a start without files.
import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import test from "ava";
import { call } from "../../../daemon/client/call.ts";
import type { ApplyAnswer, PlanView, TransactionStatus } from "../../../daemon/model/transaction.ts";
import {
  BOTH,
  bondHost,
  bondOf,
  bondText,
  clusterNetwork,
  hostIp,
  memberStates,
  modeOf,
  NICS,
} from "../../support/bond-host.ts";
import { addGateway, hostState, metric } from "../../support/change.ts";
import { network, TestHost } from "../../support/test-host.ts";
import { until } from "../../support/until.ts";

const admin = (h: TestHost): string => join(h.directory, "run/admin.sock");
const body = (text: string, more: object = {}) => ({ texts: [{ file: "test.yaml", text }], ...more });
const plan = (h: TestHost, text: string) =>
  call<PlanView>(admin(h), { method: "POST", path: "/v1/plan", body: body(text) });
const apply = (h: TestHost, text: string, more: object = {}) =>
  call<ApplyAnswer>(admin(h), { method: "POST", path: "/v1/apply", body: body(text, more) });
const transaction = (h: TestHost) => call<TransactionStatus>(admin(h), { method: "GET", path: "/v1/transaction" });

const FIRST = { mode: "active-backup", miimon: 50, updelay: 150, primary: "nic1" };
const OTHER = bondText(NICS, { mode: "802.3ad", lacpRate: "fast", adUserPortKey: 5 }, { mtu: 4000, txQLen: 77 });

test.serial("another mode is told as an outage, of the workloads by name, before anything is touched", async (t) => {
  const { h, pod } = await bondHost(t, FIRST);
  const before = await hostState(h);
  const told = await plan(h, OTHER);
  t.is(told.impact, "outage");
  t.true(
    told.steps.some(({ impact, touches }) => impact === "outage" && touches.join().includes(pod.name)),
    JSON.stringify(told),
  );
  const inPlace = await plan(h, bondText(NICS, { ...FIRST, miimon: 100, updelay: 200 }));
  t.not(inPlace.impact, "outage");
  t.deepEqual(await hostState(h), before);
});

test.serial(
  "nobody confirms, or the daemon is killed meanwhile: mode, options, MTU and members are as before",
  async (t) => {
    const { h } = await bondHost(t, FIRST);
    const before = await hostState(h);
    t.is((await apply(h, OTHER, { confirm: 3 })).phase, "waiting");
    t.is(await modeOf(h), "802.3ad");
    t.like(await bondOf(h), { mtu: 4000, txQueueLength: 77 });
    await until(async () => (await transaction(h)).phase === "idle");
    t.deepEqual(await hostState(h), before);
    t.like((await transaction(h)).last, { result: "rolled-back", cause: "timeout" });

    await apply(h, OTHER, { confirm: 60 });
    t.is(await modeOf(h), "802.3ad");
    await h.daemon.kill();
    await h.start({ ready: false });
    t.deepEqual(await hostState(h), before);
    t.is(await metric(h, 'portwright_rollbacks_total{cause="crash"}'), 1);
  },
);

test.serial("a gateway that falls silent after a change of mode and VLAN brings both back", async (t) => {
  const probed = (options: object, vlan: number) =>
    `${bondText(NICS, { ...options })}---${network("probed", vlan, "route: { mode: manual, cidr: 10.100.0.0/24, gateway: 10.100.0.1 }")}`;
  const h = await TestHost.start(t, { intent: probed(FIRST, 100), nics: BOTH, ready: false });
  for (const nic of NICS) await addGateway(h, 100, nic);
  const answers = async () => (await h.status()).networks[0]?.probes[0]?.success === true;
  await until(answers);
  const before = await hostState(h);
  const error = await t.throwsAsync(apply(h, probed({ mode: "balance-xor" }, 200), { verify: 2 }));
  t.like(error, { code: "ROLLED_BACK" });
  t.is(await metric(h, 'portwright_rollbacks_total{cause="probe"}'), 1);
  t.deepEqual(await hostState(h), before);
  await until(answers);
});

test.serial("the same intent a hundred times writes nothing to the kernel", async (t) => {
  const { h } = await bondHost(t, FIRST);
  const written = async () => [
    await metric(h, 'portwright_kernel_writes_total{subsystem="netlink"}'),
    await metric(h, 'portwright_kernel_writes_total{subsystem="bpf"}'),
  ];
  await until(async () => (await clusterNetwork(h)).ready);
  await apply(h, bondText(NICS, FIRST)); // by another name than that of the file
  await settled(written);
  const before = await written();
  for (let i = 0; i < 100; i++) t.is((await apply(h, bondText(NICS, FIRST))).last?.result, "unchanged");
  t.deepEqual(await written(), before);
});

/** A new port changes its hook some time after it came. */
async function settled(written: () => Promise<readonly number[]>): Promise<void> {
  let last = "";
  let since = Date.now();
  await until(async () => {
    const now = (await written()).join();
    if (now !== last) since = Date.now();
    last = now;
    return Date.now() - since > 7000;
  });
}

test.serial(
  "a boot without files, and without anything in the kernel, builds the last good bond with all its options",
  async (t) => {
    const { h } = await bondHost(t, FIRST);
    await apply(h, bondText(NICS, { ...FIRST, miimon: 70, updelay: 210 }, { mtu: 4000 }));
    const before = await hostState(h);
    await h.daemon.kill();
    for (const name of ["oob-bo", "oob-br"]) await hostIp(h, "link", "del", name);
    for (const name of NICS) await hostIp(h, "link", "set", name, "down", "mtu", "1500");
    await rm(h.paths.intent);
    await h.start({ ready: false });
    t.deepEqual(await hostState(h), before);
    t.like((await bondOf(h)).data, { miimon: 70, updelay: 210 });
    await until(async () => (await memberStates(h)).join() === "nic0 backup,nic1 active", 10_000);
    await writeFile(h.paths.intent, bondText(NICS, FIRST));
  },
);

test.serial(
  "a bond of somebody else under our name is an error that names it, and stays; when it goes, ours comes",
  async (t) => {
    const h = await TestHost.start(t, {
      ...{ intent: bondText(NICS, FIRST), nics: BOTH, ready: false },
      prepare: async ({ namespace }) => {
        await namespace.createLink({ name: "oob-bo", kind: "bond", data: { mode: 4 } });
      },
    });
    const [condition] = (await h.status()).conditions;
    t.like(condition, { code: "NAME_TAKEN", object: "ClusterNetwork/oob" });
    t.regex(condition?.message ?? "", /oob-bo/);
    t.is(await modeOf(h), "802.3ad");
    t.is((await bondOf(h)).alias, "");
    t.deepEqual(await memberStates(h), ["nic0 refused", "nic1 refused"]);
    await hostIp(h, "link", "del", "oob-bo");
    await until(async () => (await h.status()).ready, 4_000);
    t.is(await modeOf(h), "active-backup");
  },
);
