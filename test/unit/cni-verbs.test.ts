/** The verbs together: every version, order, limits, the queue of deletions, metrics. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "ava";
import { cniVersions } from "../../daemon/attach/version.ts";
import { host, ipamConf, nothingLeft } from "../support/attach-checks.ts";
import { cni, cniRequest } from "../support/attach-fakes.ts";

test("ADD, CHECK and DEL work in every version", async (t) => {
  for (const cniVersion of cniVersions) {
    const fake = host(t);
    const service = await fake.started();
    const conf = { ...ipamConf, cniVersion };
    const added = await cni(service, { command: "ADD", conf });
    t.is(added.exitCode, 0, added.stdout);
    t.is(added.json.cniVersion, cniVersion);
    const checked = await cni(service, { command: "CHECK", conf: { ...conf, prevResult: added.json } });
    if (cniVersion < "0.4.0") t.deepEqual([checked.exitCode, checked.json.code], [1, 1]);
    else t.deepEqual([checked.exitCode, checked.stdout], [0, ""], checked.stdout);
    const deleted = await cni(service, { command: "DEL", conf });
    t.deepEqual(deleted, { exitCode: 0, stdout: "", stderr: "", json: {} });
    nothingLeft(t, fake, service, cniVersion);
  }
});

test("requests for one container wait for each other, others do not", async (t) => {
  const fake = host(t);
  const service = await fake.started();
  let release = () => {};
  const gate = new Promise<void>((resolve) => {
    release = resolve;
  });
  let held = false;
  fake.onStep = (step) => {
    if (step !== "make" || held) return;
    held = true;
    return gate;
  };
  const first = cni(service, { command: "ADD" });
  const second = cni(service, { command: "DEL" });
  fake.addNetns("/ns/b");
  t.is((await cni(service, { command: "ADD", containerId: "c2", netns: "/ns/b" })).exitCode, 0);
  t.is(fake.ports.size, 1);
  release();
  t.is((await first).exitCode, 0);
  t.is((await second).exitCode, 0);
  t.deepEqual([...fake.ports.keys()], ["c2/eth0"]);
});

test("too many at once are told to come again, deletions never", async (t) => {
  const fake = host(t);
  const service = await fake.started({ maxQueued: 1 });
  let release = () => {};
  fake.onStep = (step) => (step === "make" ? new Promise<void>((resolve) => (release = resolve)) : undefined);
  const first = cni(service, { command: "ADD" });
  t.like((await cni(service, { command: "ADD", containerId: "c2" })).json, { code: 11 });
  t.is((await cni(service, { command: "DEL", containerId: "c3" })).exitCode, 0);
  release();
  t.is((await first).exitCode, 0);
});

test("nothing is attached before the queue of deletions is done", async (t) => {
  const fake = host(t);
  const before = await fake.started();
  await cni(before, { command: "ADD", conf: ipamConf });
  const queue = join(fake.stateDir, "deletes");
  writeFileSync(
    join(queue, "000000000001.000000000-1.json"),
    JSON.stringify(cniRequest({ command: "DEL", conf: ipamConf })),
  );
  writeFileSync(join(queue, "000000000000.000000000-1.json"), "garbage");
  writeFileSync(
    join(queue, "000000000002.000000000-1.json"),
    JSON.stringify(cniRequest({ command: "ADD", conf: ipamConf, containerId: "evil" })),
  );
  writeFileSync(join(queue, ".half.json.tmp"), "{");
  const service = fake.service();
  const add = cni(service, { command: "ADD", conf: ipamConf });
  await service.recover();
  const reply = await add;
  t.is(reply.exitCode, 0, reply.stdout);
  t.deepEqual(fake.ipamCalls, ["ADD host-local", "DEL host-local", "ADD host-local"]);
  t.is(fake.log.filter((line) => line.message.includes("set aside")).length, 2);

  writeFileSync(
    join(queue, "000000000003.000000000-1.json"),
    JSON.stringify(cniRequest({ command: "DEL", conf: ipamConf })),
  );
  t.is((await cni(service, { command: "ADD", conf: ipamConf })).exitCode, 0, "also one that came while we run");
  service.close();
});

test("commands and outcomes are reported for the metrics", async (t) => {
  const fake = host(t);
  const seen: string[] = [];
  const service = await fake.started({ onCniRequest: (command, result) => seen.push(`${command} ${result}`) });
  await cni(service, { command: "ADD" });
  await cni(service, { command: "ADD" });
  await cni(service, { command: "../../x" });
  await cni(service, { command: "DEL" });
  t.deepEqual(seen, ["ADD success", "ADD error", "other error", "DEL success"]);
  t.deepEqual(fake.events, ["attached c1/eth0", "detached c1/eth0"]);
});
