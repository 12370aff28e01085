// What is wrong is refused by a coded error that names its place, and leaves nothing half-made.
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { request } from "node:http";
import { join } from "node:path";
import test from "ava";
import { daemonArguments } from "../../daemon/demo/daemon-process.ts";
import { Lab } from "../../daemon/demo/lab.ts";
import { nativeKernel } from "../../daemon/kernel/native.ts";
import { cniPluginFile, daemonProgram } from "../../daemon/package-files.ts";
import { OOB, type TestHost, TestHost as Host } from "../support/test-host.ts";
import { recordFiles } from "../support/record-files.ts";

const start = (t: Parameters<typeof Host.start>[0]): Promise<TestHost> => Host.start(t, { intent: OOB() });

interface CniError {
  readonly code: number;
  readonly msg: string;
  readonly details?: string;
}

/** Runs the plugin as it is given, and returns what it says. */
function plugin(env: Record<string, string>, stdin: string): Promise<{ exit: number; out: CniError }> {
  return new Promise((resolve, reject) => {
    const child = execFile(cniPluginFile(), { env }, (error, stdout) => {
      if (stdout.startsWith("{"))
        resolve({ exit: error ? Number(error.code) : 0, out: JSON.parse(stdout) as CniError });
      else reject(new Error(`not JSON: ${stdout}`));
    });
    child.stdin?.end(stdin);
  });
}

test("every malformed ADD is refused with its code and leaves no link, port or record", async (t) => {
  const h = await start(t);
  const pod = await h.lab.host("pod");
  const file = join(h.directory, "a-file");
  await writeFile(file, "");
  const env = {
    CNI_COMMAND: "ADD",
    CNI_CONTAINERID: "pod",
    CNI_NETNS: pod.path,
    CNI_IFNAME: "eth0",
    CNI_PATH: "/usr/lib/cni",
  };
  const conf = {
    cniVersion: "1.0.0",
    name: "net",
    type: "portwright",
    bridge: "oob-br",
    portwrightSocket: h.runtime.socket,
    portwrightStateDir: h.runtime.stateDirectory,
  };
  const cases: readonly [string, number, Partial<typeof env>, object, RegExp][] = [
    ["VLAN 4095", 7, {}, { vlan: 4095 }, /vlan/],
    ["VLAN -1", 7, {}, { vlan: -1 }, /vlan/],
    ['VLAN "abc"', 7, {}, { vlan: "abc" }, /vlan/],
    ["trunk VLAN 0", 7, {}, { vlanTrunk: [{ id: 0 }] }, /vlanTrunk/],
    ["trunk range that runs backwards", 7, {}, { vlanTrunk: [{ minID: 9, maxID: 8 }] }, /vlanTrunk/],
    ["an interface name of 16 bytes", 4, { CNI_IFNAME: "abcdefghijklmnop" }, {}, /CNI_IFNAME/],
    ["an interface name with a slash", 4, { CNI_IFNAME: "a/b" }, {}, /CNI_IFNAME/],
    ["a netns path that is a file", 4, { CNI_NETNS: file }, {}, /not a network namespace/],
    ["a netns path that is not there", 4, { CNI_NETNS: "/run/netns/pw-none" }, {}, /No such file/],
    ["the host's own netns", 8, { CNI_NETNS: h.host.path }, {}, /host's own/],
    ["the daemon's own netns", 8, { CNI_NETNS: "/proc/self/ns/net" }, {}, /host's own/],
    ["an unknown bridge", 100, {}, { bridge: "none-br" }, /none/],
    ["an MTU that the network cannot carry", 103, {}, { mtu: 9000 }, /9000/],
    ["a multicast MAC", 7, {}, { runtimeConfig: { mac: "01:00:00:00:00:01" } }, /mac/i],
    ["an unknown version", 1, {}, { cniVersion: "9.9.9" }, /9\.9\.9/],
    ["an IPAM plugin that is not there", 104, {}, { ipam: { type: "no-such-ipam" } }, /no-such-ipam/],
  ];
  const links = (await h.host.namespace.links()).map(({ name }) => name);
  for (const [what, code, environment, more, message] of cases) {
    const { exit, out } = await plugin({ ...env, ...environment }, JSON.stringify({ ...conf, ...more }));
    t.is(exit, 1, what);
    t.is(out.code, code, `${what}: ${JSON.stringify(out)}`);
    t.regex(`${out.msg} ${out.details ?? ""}`, message, what);
  }
  // Not JSON, so the plugin cannot know another socket than the compiled one: straight to ours.
  const { text } = await post(h.runtime.socket, "/cni", JSON.stringify({ env, stdin: '{"bridge": ' }));
  const { stdout } = JSON.parse(text) as { stdout: string };
  t.is((JSON.parse(stdout) as CniError).code, 6);

  t.deepEqual(
    (await h.host.namespace.links()).map(({ name }) => name),
    links,
  );
  t.deepEqual(
    (await pod.namespace.links()).map(({ name }) => name),
    ["lo"],
  );
  t.deepEqual(recordFiles(join(h.directory, "state")), []);
  t.deepEqual(
    (await h.ports()).filter(({ role }) => role === "workload"),
    [],
  );
});

test("a taken interface name is refused, and the interface that has it stays", async (t) => {
  const h = await start(t);
  const pod = await h.lab.host("pod");
  await pod.namespace.createLink({ kind: "bridge", name: "eth0" });
  const before = await pod.namespace.link({ name: "eth0" });
  const error = await t.throwsAsync(h.add("pod", { vlan: 100 }, { pod }));
  t.regex(error.message, /eth0 exists already/);
  t.deepEqual(await pod.namespace.link({ name: "eth0" }), before);
  t.deepEqual(
    (await h.ports()).filter(({ role }) => role === "workload"),
    [],
  );
});

test("a second ADD of the same container and interface is refused, and the first one stays", async (t) => {
  const h = await start(t);
  const pod = await h.add("pod", { vlan: 100 });
  await t.throwsAsync(h.add("pod", { vlan: 100 }, { pod: pod.host }), { message: /"code":101/ });
  t.is((await h.ports()).filter(({ role }) => role === "workload").length, 1);
});

test("a body of 1 MiB is refused by size", async (t) => {
  const h = await start(t);
  // The daemon answers before it has read all; whoever still writes may find the connection closed, and asks again.
  const ask = (): ReturnType<typeof post> =>
    post(h.runtime.socket, "/v1/attachments", `{"a":"${"x".repeat(1 << 20)}"}`).catch(
      (error: NodeJS.ErrnoException): ReturnType<typeof post> => {
        if (error.code === "EPIPE" || error.code === "ECONNRESET") return ask();
        throw error;
      },
    );
  const { status, text } = await ask();
  t.is(status, 413);
  t.regex(text, /REQUEST_TOO_LARGE/);
});

for (const [what, intent, http, exit, message] of [
  ["an intent that cannot be read", "kind: [", "off", 78, /INTENT_SYNTAX/],
  ["an HTTP address that is not loopback", OOB(), "0.0.0.0:0", 71, /HTTP_NOT_LOOPBACK/],
] as const) {
  test(`the daemon refuses ${what} before it makes anything`, async (t) => {
    const lab = new Lab(nativeKernel(), `pwbi${process.pid}-${exit}`);
    const directory = await mkdtemp("/run/pw-test-");
    t.teardown(() => rm(directory, { recursive: true, force: true }));
    t.teardown(() => lab.dispose());
    const host = await lab.host("host");
    const intentFile = join(directory, "intent.yaml");
    await writeFile(intentFile, intent);
    const at = (name: string): string => join(directory, name);
    const paths = { program: daemonProgram(), intent: intentFile, netns: host.path, runDirectory: at("run") };
    const args = daemonArguments({ ...paths, stateDirectory: at("state"), pinRoot: at("bpf") });
    const child = spawn(process.execPath, [...args, "--http", http]);
    let text = "";
    child.stderr.on("data", (chunk: Buffer) => {
      text += chunk.toString();
    });
    t.deepEqual(await once(child, "close"), [exit, null]);
    t.regex(text, message);
    t.deepEqual(await readdir(directory), ["intent.yaml"]);
    t.deepEqual(
      (await host.namespace.links()).map(({ name }) => name),
      ["lo"],
    );
  });
}

for (const [what, intent, place] of [
  ["malformed YAML", "kind: [", /intent\.yaml:\d+:\d+: .*\[INTENT_SYNTAX\]/],
  [
    "an unknown field",
    OOB().replace("spec:", "spec:\n  colour: red"),
    /intent\.yaml:\d+:\d+: .*colour.*\[INTENT_UNKNOWN_FIELD\]/,
  ],
  ["VLAN 4095", network("vlan: 4095"), /intent\.yaml:\d+:\d+: .*4095/],
  ["VLAN 0", network("vlan: 0"), /intent\.yaml:\d+:\d+: .*vlan/],
  ['VLAN "abc"', network("vlan: abc"), /intent\.yaml:\d+:\d+: .*abc/],
] as const) {
  test(`the daemon does not start on ${what}, and says where it stands`, async (t) => {
    const directory = await mkdtemp("/run/pw-test-");
    t.teardown(() => rm(directory, { recursive: true, force: true }));
    const file = join(directory, "intent.yaml");
    await writeFile(file, intent);
    const check = spawn(process.execPath, [daemonProgram().replace("portwrightd", "portwright"), "check", file]);
    let text = "";
    check.stderr.on("data", (chunk: Buffer) => {
      text += chunk.toString();
    });
    const [exit] = (await once(check, "close")) as [number];
    t.is(exit, 1);
    t.regex(text, place);
    t.notRegex(text, /\n\s+at /, "no stack trace");
  });
}

function network(vlan: string): string {
  return `${OOB()}---
apiVersion: portwright.io/v1alpha1
kind: Network
metadata: { name: n }
spec: { clusterNetwork: oob, type: L2VlanNetwork, ${vlan} }
`;
}

function post(socketPath: string, path: string, body: string): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const headers = { "content-type": "application/json", "content-length": Buffer.byteLength(body) };
    const call = request({ socketPath, path, method: "POST", headers }, (response) => {
      let text = "";
      response.on("data", (chunk: Buffer) => {
        text += chunk.toString();
      });
      response.on("end", () => resolve({ status: response.statusCode ?? 0, text }));
    });
    call.on("error", reject);
    call.end(body);
  });
}
