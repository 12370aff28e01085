// A bridge with the host's own address is taken over, used and given back, and the host stays reachable all the time.
import { execFile } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import test, { type ExecutionContext } from "ava";
import { call } from "../../daemon/client/call.ts";
import type { LabHost } from "../../daemon/demo/lab.ts";
import type { ApplyAnswer, PlanView } from "../../daemon/model/transaction.ts";
import { OOB, staticIpam, TestHost } from "../support/test-host.ts";
import { until } from "../support/until.ts";

const run = promisify(execFile);
const NICS = [{ name: "nic0" }, { name: "eth0" }];
const MGMT = `
apiVersion: network.harvesterhci.io/v1beta1
kind: ClusterNetwork
metadata: { name: mgmt }
spec: { adopt: true }
---
apiVersion: portwright.io/v1alpha1
kind: Network
metadata: { name: plain }
spec: { clusterNetwork: mgmt, type: UntaggedNetwork }
`;
const WITH = `${OOB()}---${MGMT}`;
const TAGGED = `${WITH}---
apiVersion: portwright.io/v1alpha1
kind: Network
metadata: { name: tagged }
spec: { clusterNetwork: mgmt, type: L2VlanNetwork, vlan: 100 }
`;

const admin = (h: TestHost): string => join(h.directory, "run/admin.sock");
const texts = (text: string) => [{ file: "test.yaml", text }];
const apply = (h: TestHost, text: string, options: object = {}) =>
  call<ApplyAnswer>(admin(h), { method: "POST", path: "/v1/apply", body: { texts: texts(text), ...options } });
const plan = (h: TestHost, text: string) =>
  call<PlanView>(admin(h), { method: "POST", path: "/v1/plan", body: { texts: texts(text) } });
const confirm = (h: TestHost) => call<ApplyAnswer>(admin(h), { method: "POST", path: "/v1/confirm" });

async function ip(host: LabHost, ...args: string[]): Promise<string> {
  return (await run("nsenter", [`--net=${host.path}`, "ip", ...args])).stdout;
}

/** As an installer leaves a node: a plain bridge over its NIC, with the node's address. */
async function node(host: LabHost): Promise<void> {
  await ip(host, "link", "add", "mgmt-br", "type", "bridge", "stp_state", "0", "forward_delay", "0");
  // An address that the kernel makes up is tentative at first: the text would change by itself.
  await ip(host, "link", "set", "mgmt-br", "addrgenmode", "none");
  await ip(host, "link", "set", "mgmt-br", "up", "mtu", "1400", "alias", "node network");
  await ip(host, "link", "set", "eth0", "master", "mgmt-br");
  await ip(host, "address", "add", "192.0.2.1/24", "dev", "mgmt-br");
  await ip(host, "-6", "address", "add", "2001:db8::1/64", "dev", "mgmt-br", "nodad");
  await ip(host, "route", "add", "default", "via", "192.0.2.254");
}

/** What nobody but the node's owner may change. */
async function owned(host: LabHost): Promise<string> {
  const parts = [
    await ip(host, "-o", "address", "show", "dev", "mgmt-br"),
    await ip(host, "route", "show", "table", "all", "dev", "mgmt-br"),
    await ip(host, "-d", "-o", "link", "show", "dev", "mgmt-br"),
    await ip(host, "-d", "-o", "link", "show", "dev", "eth0"),
  ];
  // Timers and learned addresses of the bridge go on.
  return parts.join("").replaceAll(/(_timer|fdb_n_learned) +[\d.]+/g, "$1");
}

const withoutAlias = (text: string): string => text.replaceAll(/\\?\s*alias [^\n]*/g, "");

async function start(t: ExecutionContext, intent = OOB()): Promise<TestHost> {
  const h = await TestHost.start(t, { intent, nics: NICS, prepare: node });
  await ip(h.wire, "address", "add", "192.0.2.2/24", "dev", "eth0");
  return h;
}

/** 10 ms pings of the node from the wire, until `stop`. */
function ping(h: TestHost): { stop(): Promise<{ sent: number; received: number }> } {
  const args = [`--net=${h.wire.path}`, "ping", "-n", "-q", "-i", "0.01", "-W", "2", "192.0.2.1"];
  const child = execFile("nsenter", args);
  let said = "";
  child.stdout?.on("data", (part: Buffer) => {
    said += String(part);
  });
  const ended = new Promise<void>((resolve) => child.on("close", () => resolve()));
  return {
    stop: async () => {
      await sleep(100);
      child.kill("SIGINT");
      await ended;
      const match = /(\d+) packets transmitted, (\d+) received/.exec(said);
      return { sent: Number(match?.[1]), received: Number(match?.[2]) };
    },
  };
}

test.serial(
  "take-over, use, restart and release cost the node no ping, no address, no route and no setting",
  async (t) => {
    const h = await start(t);
    const before = await owned(h.host);
    const bridge = await h.host.namespace.link({ name: "mgmt-br" });
    const pings = ping(h);
    await sleep(300);

    const told = await plan(h, WITH);
    t.deepEqual(
      told.steps.map(({ text }) => text),
      ["change mgmt-br: alias node network -> portwright-adopted bridge mgmt switch 1 kept - was node network"],
    );
    t.is((await apply(h, WITH)).phase, "waiting", "nobody asked for it, and yet it waits");
    await confirm(h);
    t.is(withoutAlias(await owned(h.host)), withoutAlias(before));
    t.is((await h.host.namespace.link({ name: "mgmt-br" }))?.ifindex, bridge?.ifindex);

    const pod = await h.add("pod", { bridge: "mgmt-br", ...staticIpam("192.0.2.9/24") });
    const toWire = ["ping", "-n", "-q", "-c", "3", "-i", "0.05", "-W", "2"];
    await run("nsenter", [`--net=${pod.host.path}`, ...toWire, "192.0.2.2"]);
    await run("nsenter", [`--net=${pod.host.path}`, ...toWire, "192.0.2.1"]);
    t.is((await pod.host.namespace.link({ name: "eth0" }))?.mtu, 1400);
    t.like(
      (await h.ports()).find(({ attachment }) => attachment === "pod/eth0"),
      { clusterNetwork: "mgmt", attached: true },
    );

    await h.restart();
    await run("nsenter", [`--net=${pod.host.path}`, ...toWire, "192.0.2.2"]);
    t.deepEqual((await plan(h, WITH)).steps, []);
    await h.del(pod);

    t.is((await apply(h, OOB())).phase, "waiting", "letting go waits as well");
    await confirm(h);
    t.is(await owned(h.host), before);
    const { sent, received } = await pings.stop();
    t.is(received, sent);
    t.true(sent > 20);
  },
);

test.serial("without adopt a bridge of others with our name stays theirs", async (t) => {
  const h = await start(t);
  const before = await owned(h.host);
  await apply(h, WITH.replace("spec: { adopt: true }", ""));
  t.true(
    (await h.status()).conditions.some(({ code, message }) => code === "NAME_TAKEN" && message.includes("mgmt-br")),
  );
  t.is(await owned(h.host), before);
});

test.serial("where the bridge does not filter, networks with VLANs are refused with what to do", async (t) => {
  const h = await start(t);
  await apply(h, WITH);
  await confirm(h);
  const before = await owned(h.host);
  await apply(h, TAGGED);
  const said = (await h.status()).conditions.find(({ object }) => object === "Network/tagged");
  t.is(said?.code, "BRIDGE_UNFILTERED");
  t.regex(said?.message ?? "", /vlanFiltering: true/);
  const error = await t.throwsAsync(h.add("pod", { bridge: "mgmt-br", vlan: 100 }));
  t.regex(String(error), /does not filter VLANs/);
  t.is(await owned(h.host), before);
});

test.serial("a release that is not confirmed is undone; files by SIGHUP wait, too, and are given up", async (t) => {
  const h = await start(t);
  await apply(h, WITH);
  await confirm(h);
  const adopted = await owned(h.host);
  await apply(h, OOB(), { confirm: 1 });
  t.notRegex(await owned(h.host), /portwright/);
  await until(async () => (await h.status()).transaction.phase === "idle");
  t.is(await owned(h.host), adopted);

  await writeFile(join(h.directory, "intent.yaml"), `${OOB()}\n# changed\n`);
  process.kill(h.daemon.pid, "SIGHUP");
  await until(async () => (await h.status()).transaction.phase === "waiting");
  await h.daemon.kill();
  await h.start({ ready: false });
  await until(async () => (await h.status()).conditions.some(({ code }) => code === "ROLLED_BACK"));
  t.is(await owned(h.host), adopted, "a start undoes what was not confirmed");
});

test.serial("with adopt nothing is made where there is no bridge", async (t) => {
  const h = await TestHost.start(t, { intent: OOB(), nics: NICS });
  await apply(h, WITH);
  t.is(await h.host.namespace.link({ name: "mgmt-br" }), null);
  t.true((await h.status()).conditions.some(({ code }) => code === "ADOPT_ABSENT"));
});
