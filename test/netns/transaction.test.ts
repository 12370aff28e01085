// A change of intent and its way back: the daemon as a whole, on the real kernel.
import { execFile } from "node:child_process";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import test from "ava";
import { call } from "../../daemon/client/call.ts";
import type { ApplyAnswer, PlanView, TransactionStatus } from "../../daemon/model/transaction.ts";
import { daemonProgram } from "../../daemon/package-files.ts";
import { hostState, metric, PROBED, addGateway } from "../support/change.ts";
import { CLUSTER_NETWORK, network, OOB, TestHost, UPLINK } from "../support/test-host.ts";
import { until } from "../support/until.ts";

const run = promisify(execFile);
const NICS = [{ name: "nic0", mtu: 9000 }, { name: "nic1" }];
const admin = (h: TestHost): string => join(h.directory, "run/admin.sock");
const texts = (text: string) => [{ file: "test.yaml", text }];
const plan = (h: TestHost, text: string) =>
  call<PlanView>(admin(h), { method: "POST", path: "/v1/plan", body: { texts: texts(text) } });
const apply = (h: TestHost, text: string, options: object = {}) =>
  call<ApplyAnswer>(admin(h), { method: "POST", path: "/v1/apply", body: { texts: texts(text), ...options } });
const transaction = (h: TestHost) => call<ApplyAnswer>(admin(h), { method: "GET", path: "/v1/transaction" });
const order = (h: TestHost, what: "confirm" | "rollback") =>
  call<TransactionStatus>(admin(h), { method: "POST", path: `/v1/${what}` });
const rollbacks = (h: TestHost, cause: string) => metric(h, `portwright_rollbacks_total{cause="${cause}"}`);

/** another cluster network, another MTU, another transmit queue */
const WIDER = `${OOB(8000).replace("mtu: 8000", "mtu: 8000, txQLen: 777")}---${CLUSTER_NETWORK("second")}---${UPLINK("second", "nic1")}`;

test.serial("plan tells every step and changes nothing; apply does them and keeps the intent", async (t) => {
  const h = await TestHost.start(t, { intent: OOB(), nics: NICS });
  const before = await hostState(h);
  const told = await plan(h, WIDER);
  t.true(
    told.steps.some(({ text }) => text.includes("create bridge second-br")),
    JSON.stringify(told.steps),
  );
  t.is(told.impact, "blip", "a NIC's MTU changes");
  t.deepEqual(await hostState(h), before);
  const done = await apply(h, WIDER);
  t.deepEqual(done.steps, told.steps);
  t.is(done.last?.result, "committed");
  t.is(done.generation, 2);
  t.is((await h.host.namespace.link({ name: "second-br" }))?.up, true);
  t.is((await plan(h, WIDER)).steps.length, 0);
});

test.serial("a change that is not confirmed in time is undone to the last attribute", async (t) => {
  const h = await TestHost.start(t, { intent: OOB(), nics: NICS });
  const before = await hostState(h);
  const answer = await apply(h, WIDER, { confirm: 2 });
  t.is(answer.phase, "waiting");
  t.true((answer.secondsLeft ?? 0) > 0);
  t.is((await h.status()).transaction.phase, "waiting");
  t.is((await h.host.namespace.link({ name: "nic0" }))?.txQueueLength, 777);
  await until(async () => (await transaction(h)).phase === "idle");
  t.deepEqual(await hostState(h), before);
  const { last, generation } = await transaction(h);
  t.like(last, { result: "rolled-back", cause: "timeout" });
  t.is(generation, 1);
  t.is(await rollbacks(h, "timeout"), 1);
  t.true((await h.status()).ready);
});

test.serial("a confirmed change is kept over a restart, the unchanged files notwithstanding", async (t) => {
  const h = await TestHost.start(t, { intent: OOB(), nics: NICS });
  await apply(h, WIDER, { confirm: 60 });
  t.is((await order(h, "confirm")).generation, 2);
  const before = await hostState(h);
  await h.restart();
  t.deepEqual(await hostState(h), before);
  t.is((await h.status()).transaction.generation, 2);
});

test.serial("the operator rolls back; there is nothing to confirm or roll back afterwards", async (t) => {
  const h = await TestHost.start(t, { intent: OOB(), nics: NICS });
  const before = await hostState(h);
  await apply(h, WIDER, { confirm: 60 });
  await order(h, "rollback");
  t.deepEqual(await hostState(h), before);
  t.is(await rollbacks(h, "operator"), 1);
  for (const what of ["confirm", "rollback"] as const) {
    await t.throwsAsync(order(h, what), { message: /there is no change/ });
  }
});

test.serial("a second change is refused while one waits, and attaches go on", async (t) => {
  const h = await TestHost.start(t, { intent: OOB(), nics: NICS });
  const { id } = await apply(h, WIDER, { confirm: 60 });
  const error = await t.throwsAsync(apply(h, OOB(1400)));
  t.like(error, { code: "TRANSACTION_PENDING" });
  const pod = await h.add("pod", { vlan: 100 });
  t.truthy(await pod.host.namespace.link({ name: "eth0" }));
  t.is((await transaction(h)).id, id);
  await order(h, "rollback");
  const ports = await h.ports();
  t.true(
    ports.some(({ attachment, attached }) => attachment === "pod/eth0" && attached),
    "the new port outlives it",
  );
});

test.serial("a gateway that falls silent rolls the change back", async (t) => {
  const h = await TestHost.start(t, { intent: PROBED(100), ready: false });
  await addGateway(h, 100);
  await until(async () => (await h.status()).networks[0]?.probes[0]?.success === true);
  const before = await hostState(h);
  // The network moves to a VLAN in which nobody answers.
  const error = await t.throwsAsync(apply(h, PROBED(200), { verify: 2 }));
  t.like(error, { code: "ROLLED_BACK" });
  t.regex(error?.message ?? "", /gateway 10\.100\.0\.1 of network probed answered ARP before, and not within 2 s/);
  t.is(await rollbacks(h, "probe"), 1);
  t.deepEqual(await hostState(h), before);
  await until(async () => (await h.status()).networks[0]?.probes[0]?.success === true);
});

test.serial(
  "an intent that takes the ground from under what works is refused before anything is touched",
  async (t) => {
    const h = await TestHost.start(t, { intent: OOB() });
    const before = await hostState(h);
    const error = await t.throwsAsync(apply(h, OOB().replace("[nic0]", "[nic9]")));
    t.like(error, { code: "CHANGE_REFUSED" });
    t.regex(error?.message ?? "", /NIC nic9 .* is not there/);
    t.deepEqual(await hostState(h), before);
    t.true((await h.status()).ready);
  },
);

test.serial("kill -9 while a change waits: the next start undoes it, and does not try these files again", async (t) => {
  const h = await TestHost.start(t, { intent: OOB(), nics: NICS });
  const before = await hostState(h);
  await writeFile(h.paths.intent, WIDER);
  await call<ApplyAnswer>(admin(h), { method: "POST", path: "/v1/apply", body: { confirm: 60 } });
  t.notDeepEqual(await hostState(h), before);
  await h.daemon.kill();
  for (let start = 0; start < 2; start++) {
    await h.start({ ready: false });
    t.deepEqual(await hostState(h), before);
    const { conditions, transaction: now } = await h.status();
    t.deepEqual(
      conditions.map(({ code }) => code),
      ["ROLLED_BACK"],
    );
    t.is(now.generation, 1);
    t.is(await rollbacks(h, "crash"), start === 0 ? 1 : 0);
    await h.daemon.kill();
  }
  await h.start({ ready: false });
  await call(admin(h), { method: "POST", path: "/v1/apply", body: {} });
  t.true((await h.status()).ready, "asked for by name, they are tried again");
});

test.serial("kill -9 at random moments of a change leaves either the old host or the new one", async (t) => {
  const wide = OOB() + Array.from({ length: 6 }, (_, n) => `---${CLUSTER_NETWORK(`net${n}`)}`).join("");
  const h = await TestHost.start(t, { intent: OOB(), nics: NICS });
  const before = await hostState(h);
  for (const delay of [2, 5, 8, 12, 18, 25, 40]) {
    const answer = apply(h, wide, { confirm: 60 }).catch(() => undefined);
    await sleep(delay);
    await h.daemon.kill();
    await answer;
    await h.start();
    t.deepEqual(await hostState(h), before, `after ${delay} ms`);
  }
});

test.serial("files that are broken, or gone: the last good intent is in force, and a condition says why", async (t) => {
  const h = await TestHost.start(t, { intent: OOB() });
  const before = await hostState(h);
  for (const spoil of [() => writeFile(h.paths.intent, "kind: ["), () => run("rm", [h.paths.intent])]) {
    await spoil();
    await h.daemon.kill();
    await h.start({ ready: false });
    t.deepEqual(await hostState(h), before);
    const [condition] = (await h.status()).conditions;
    t.is(condition?.object, "Intent");
    t.regex(condition?.message ?? "", /last good intent is: .*intent\.yaml/);
  }
  await writeFile(h.paths.intent, OOB(1400));
  await h.daemon.stop();
  await h.start();
  await until(async () => (await h.host.namespace.link({ name: "oob-br" }))?.mtu === 1400);
  await until(async () => (await h.status()).transaction.generation === 2);
});

test.serial("a damaged good.json: the generation before it stands in", async (t) => {
  const h = await TestHost.start(t, { intent: OOB(), nics: NICS });
  const before = await hostState(h);
  await apply(h, WIDER);
  await h.daemon.kill();
  const file = join(h.directory, "state/intent/good.json");
  await writeFile(file, (await readFile(file, "utf8")).replace("second", "SECOND"));
  await writeFile(h.paths.intent, "kind: [");
  await h.start({ ready: false });
  t.is(await h.host.namespace.link({ name: "second-br" }), null);
  t.is((await hostState(h)).links.length, before.links.length);
});

test.serial("the same intent a hundred times writes nothing to the kernel or the disk", async (t) => {
  const h = await TestHost.start(t, { intent: `${OOB()}---${network("n", 100)}` });
  const written = async () => [
    await metric(h, 'portwright_kernel_writes_total{subsystem="netlink"}'),
    await metric(h, 'portwright_kernel_writes_total{subsystem="bpf"}'),
    (
      await run("stat", [
        "-c",
        "%Y %Z %i",
        join(h.directory, "state/intent"),
        join(h.directory, "state/intent/good.json"),
      ])
    ).stdout,
  ];
  const before = await written();
  for (let i = 0; i < 100; i++) {
    const { last } = await call<ApplyAnswer>(admin(h), { method: "POST", path: "/v1/apply", body: {} });
    t.is(last?.result, "unchanged");
  }
  t.deepEqual(await written(), before);
});

test.serial("a full disk: the change is refused before its first step", async (t) => {
  const h = await TestHost.start(t, { intent: OOB(), nics: NICS, smallState: true });
  const before = await hostState(h);
  await run("dd", ["if=/dev/zero", `of=${join(h.directory, "state/filler")}`, "bs=4k"]).catch(() => undefined);
  const error = await t.throwsAsync(apply(h, WIDER));
  t.like(error, { code: "STATE_IO" });
  t.deepEqual(await hostState(h), before);
  await run("rm", [join(h.directory, "state/filler")]);
  t.is((await apply(h, WIDER)).last?.result, "committed");
});

test.serial("a disk that fills while a change waits still lets it be kept, or undone", async (t) => {
  const h = await TestHost.start(t, { intent: OOB(), nics: NICS, smallState: true });
  const before = await hostState(h);
  const fill = () =>
    run("dd", ["if=/dev/zero", `of=${join(h.directory, "state/filler")}`, "bs=4k"]).catch(() => undefined);
  await apply(h, WIDER, { confirm: 60 });
  await fill();
  await order(h, "rollback");
  t.deepEqual(await hostState(h), before);
  await run("rm", [join(h.directory, "state/filler")]);
  await apply(h, WIDER, { confirm: 60 });
  await fill();
  t.is((await order(h, "confirm")).generation, 2);
});

test.serial("SIGHUP applies the files with verification", async (t) => {
  const h = await TestHost.start(t, { intent: PROBED(100), ready: false });
  await addGateway(h, 100);
  await until(async () => (await h.status()).networks[0]?.probes[0]?.success === true);
  await writeFile(h.paths.intent, `${PROBED(100)}---${network("more", 300)}`);
  process.kill(h.daemon.pid, "SIGHUP");
  await until(async () => (await h.status()).networks.length === 2);
  await until(async () => (await h.status()).transaction.generation === 2);
  t.pass();
});

test.serial("SIGHUP while a change waits: the files are read when it has ended", async (t) => {
  const h = await TestHost.start(t, { intent: OOB(), nics: NICS });
  t.is((await apply(h, WIDER, { confirm: 60 })).phase, "waiting");
  await writeFile(join(h.directory, "intent.yaml"), OOB(4000));
  process.kill(h.daemon.pid, "SIGHUP");
  await until(() => h.daemon.log.includes("the files are read when the change under way has ended"));
  await order(h, "rollback");
  await until(async () => (await h.host.namespace.link({ name: "nic0" }))?.mtu === 4000);
  await until(async () => (await transaction(h)).phase === "idle");
  t.deepEqual((await h.status()).conditions, []);
});

test.serial("the command: exit codes and words", async (t) => {
  const h = await TestHost.start(t, { intent: OOB(), nics: NICS });
  const file = join(h.directory, "wider.yaml");
  await writeFile(file, WIDER);
  const program = daemonProgram().replace("portwrightd", "portwright");
  const portwright = async (command: string, ...args: string[]) => {
    const socket = command === "status" ? h.readSocket : admin(h);
    try {
      const { stdout } = await run(process.execPath, [program, command, "--socket", socket, ...args]);
      return { code: 0, text: stdout };
    } catch (error) {
      const { code, stdout, stderr } = error as { code: number; stdout: string; stderr: string };
      return { code, text: stdout + stderr };
    }
  };
  t.like(await portwright("plan"), { code: 0, text: "Nothing to do: the host is as these files want it.\n" });
  const planned = await portwright("plan", file);
  t.is(planned.code, 2);
  t.regex(planned.text, /create bridge second-br/);
  t.regex(planned.text, /Some frames may be lost, at nic0/);
  const applied = await portwright("apply", "--confirm", "60s", file);
  t.is(applied.code, 0, applied.text);
  t.regex(
    applied.text,
    /IS NOT CONFIRMED: "portwright confirm" keeps it, else it is rolled back \((60|59|58) s left\)/,
  );
  t.regex((await portwright("status")).text, /IS NOT CONFIRMED/);
  const second = await portwright("apply", file);
  t.is(second.code, 1);
  t.regex(second.text, /\[TRANSACTION_PENDING\]/);
  t.like(await portwright("confirm"), { code: 0, text: "Confirmed: kept as generation 2.\n" });
  t.is((await portwright("rollback")).code, 1);
  t.is((await portwright("plan", file)).code, 0);
  await writeFile(file, OOB().replace("oob-uplink", "Oob_Uplink"));
  t.is((await portwright("plan", file)).code, 1);
  t.is((await portwright("apply", "--confirm", "soon", file)).code, 1);
});
