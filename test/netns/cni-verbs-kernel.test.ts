/** GC, STATUS and duplicate address detection on the real kernel, by the plugin itself. */
import test from "ava";
import { removeNetns } from "../../daemon/demo/lab.ts";
import { runProgram } from "../../daemon/demo/run-program.ts";
import { nativeKernel } from "../../daemon/kernel/native.ts";
import { OOB, type Pod, staticIpam, TestHost } from "../support/test-host.ts";
import { until } from "../support/until.ts";

interface Answer {
  readonly exit: number | string;
  readonly error: { readonly code?: number; readonly msg?: string };
}

async function ask(h: TestHost, command: string, conf: object = {}): Promise<Answer> {
  const { plugin, socket: portwrightSocket, stateDirectory: portwrightStateDir } = h.runtime;
  const least = { cniVersion: "1.1.0", name: "net", type: "portwright", bridge: "oob-br" };
  const { ended, stdout } = await runProgram(plugin, [], {
    env: { CNI_COMMAND: command, CNI_PATH: "/usr/lib/cni" },
    input: JSON.stringify({ ...least, portwrightSocket, portwrightStateDir, ...conf }),
    timeoutMs: 60_000,
  });
  return { exit: ended, error: stdout === "" ? {} : JSON.parse(stdout) };
}

const attached = async (h: TestHost): Promise<readonly string[]> =>
  (await h.get<{ attachments: readonly { id: string }[] }>("/v1/attachments")).attachments.map(({ id }) => id);

/** the pod dies without a DEL; the kernel takes its namespace apart some time later */
async function die(h: TestHost, pod: Pod): Promise<void> {
  await pod.host.namespace.close();
  pod.host.handle.close();
  await removeNetns(nativeKernel(), pod.host.path);
  const name = pod.result.interfaces[1]?.name ?? "";
  await until(async () => (await h.host.namespace.link({ name })) === null);
}

test("GC removes whose namespace is gone, and with a list whatever is not on it", async (t) => {
  const h = await TestHost.start(t, { intent: OOB() });
  const [alive, dead, other] = [await h.add("alive", {}), await h.add("dead", {}), await h.add("other", {})];
  await die(h, dead);
  t.deepEqual(await ask(h, "GC"), { exit: 0, error: {} });
  t.deepEqual(await attached(h), ["alive/eth0", "other/eth0"]);
  const valid = [{ containerID: "other", ifname: "eth0" }];
  t.is((await ask(h, "GC", { name: "another", "cni.dev/valid-attachments": [] })).exit, 0);
  t.is((await attached(h)).length, 2);
  t.is((await ask(h, "GC", { "cni.dev/valid-attachments": valid })).exit, 0);
  t.deepEqual(await attached(h), ["other/eth0"]);
  t.is(await alive.host.namespace.link({ name: "eth0" }), null);
  t.true((await other.host.namespace.link({ name: "eth0" }))?.up);
  t.is((await ask(h, "GC", { cniVersion: "1.0.0" })).error.code, 1);
});

test("STATUS is well, 51 while the uplink has no carrier, 50 for a network that is not there or without a daemon", async (t) => {
  const h = await TestHost.start(t, { intent: OOB() });
  const code = async (conf: object = {}) => (await ask(h, "STATUS", conf)).error.code ?? 0;
  t.is(await code(), 0);
  t.is(await code({ bridge: "nowhere-br" }), 50);
  await h.wire.namespace.changeLink({ name: "nic0" }, { up: false });
  t.is(await code(), 51);
  await h.wire.namespace.changeLink({ name: "nic0" }, { up: true });
  await until(async () => (await code()) === 0);
  t.is(await code({ cniVersion: "1.0.0" }), 1);
  t.is(await code({ vlan: 5000 }), 7);
  await h.daemon.stop();
  t.is(await code(), 50);
});

test("enabledad: a free address is settled when ADD answers, one that another pod has is refused and all undone", async (t) => {
  const h = await TestHost.start(t, { intent: OOB() });
  const conf = { vlan: 100, enabledad: true, ...staticIpam("fd00:7::2/64") };
  const first = await h.add("first", conf);
  const state = await first.host.namespace.addresses();
  const flags = state.find(({ address }) => address === "fd00:7::2")?.flags ?? -1;
  t.is(flags & 0x4a, 0, "neither tentative, nor failed, nor without detection");
  const error = await t.throwsAsync(h.add("second", conf));
  t.regex(error?.message ?? "", /"code":107.*fd00:7::2 is used by another station already/);
  t.deepEqual(await attached(h), ["first/eth0"]);
  t.is((await h.add("elsewhere", { ...conf, vlan: 200 })).result.ips?.[0]?.address, "fd00:7::2/64", "another VLAN");
});

test("disableContainerInterface leaves the container's end down, preserveDefaultVlan VLAN 1 on the port", async (t) => {
  const h = await TestHost.start(t, { intent: OOB() });
  const down = await h.add("down", { disableContainerInterface: true });
  t.false((await down.host.namespace.link({ name: "eth0" }))?.up);
  await h.add("both", { vlan: 100, preserveDefaultVlan: true });
  const port = (await h.ports()).find(({ attachment }) => attachment === "both/eth0");
  t.like(port, { pvid: 100, allowed: "1,100", untagged: "1,100" });
  await h.restart();
  t.like(
    (await h.ports()).find(({ attachment }) => attachment === "both/eth0"),
    { pvid: 100, allowed: "1,100", untagged: "1,100" },
  );
});
