// portwright attach, ports, detach, gc: as a person types them, against the daemon.
import { execFile } from "node:child_process";
import { join } from "node:path";
import test from "ava";
import { nativeKernel } from "../../daemon/kernel/native.ts";
import { packageRoot } from "../../daemon/package-files.ts";
import { BROADCAST, frame, text } from "../peers/frames.ts";
import { OOB_VLAN100, tap, TestHost } from "../support/test-host.ts";
import { openTap } from "../support/tap-end.ts";
import { until } from "../support/until.ts";

const INTENT = OOB_VLAN100();

interface Said {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

function portwright(...args: readonly string[]): Promise<Said> {
  const program = join(packageRoot(), "dist/portwright.mjs");
  return new Promise((resolve) => {
    execFile(process.execPath, [program, ...args], (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr });
    });
  });
}

function typed(h: TestHost) {
  const at = (name: string) => ["--socket", join(h.directory, `run/${name}.sock`)];
  return (command: string, ...args: readonly string[]): Promise<Said> =>
    portwright(command, ...args, ...at(command === "ports" ? "read" : "cni"));
}

test("a namespace, a VM's tap, a tap in a namespace and somebody else's link are attached, listed and detached", async (t) => {
  const h = await TestHost.start(t, { intent: INTENT });
  const type = typed(h);
  const pod = await h.lab.host("web");
  const vm = await h.lab.host("vm");
  const tun = { kind: "tun", tap: { multiQueue: false, owner: null, group: null } } as const;
  await h.host.namespace.createLink({ ...tun, name: "qemu7" });
  const network = ["--network", "vlan100"];

  const web = await type(
    "attach",
    ...network,
    "--netns",
    pod.path,
    "--container",
    "web",
    "--address",
    "10.100.0.21/24",
  );
  t.regex(
    web.stdout,
    /^attached web\/eth0 to vlan100: eth0 in \S+, port pw\w{13}, MAC \S+, MTU 1500, 10\.100\.0\.21\/24\n$/,
  );
  const made = await type(
    "attach",
    ...network,
    "--tap",
    "--name",
    "vm1-net0",
    "--container",
    "vm1",
    "--queues",
    "4",
    "--owner",
    "daemon",
    "--json",
  );
  t.like(JSON.parse(made.stdout), {
    id: "vm1/vm1-net0",
    device: { kind: "tap", queues: 4, owner: 1, name: "vm1-net0" },
  });
  const inner = await type(
    "attach",
    ...network,
    "--netns",
    vm.path.replace("/run/netns/", ""),
    "--tap",
    "--name",
    "net1",
    "--group",
    "36",
    "--mac",
    "02:00:00:00:aa:01",
  );
  t.regex(inner.stdout, /^attached \S+-vm\/net1 to vlan100: tap net1 in \S+, .* MAC 02:00:00:00:aa:01, /);
  const other = await type("attach", ...network, "--device", "qemu7");
  t.regex(other.stdout, /^attached qemu7\/qemu7 to vlan100: qemu7, port qemu7, /);

  const guest = await openTap(t, vm.path, "net1");
  const atPod = await tap(t, pod, "eth0");
  guest.send(frame({ dst: BROADCAST, src: "02:00:00:00:aa:01", payload: text("hello") }));
  await until(() => atPod.frames.some(({ data }) => Buffer.from(data).includes("hello")));

  const listed = (await type("ports")).stdout.split("\n");
  t.regex(
    listed[0] ?? "",
    /^attachment +network +port +device +MAC +PVID +VLANs +MTU +state +received +sent +dropped$/,
  );
  t.true(
    listed.some((line) => /^web\/eth0 +vlan100 +pw\w+ +veth +\S+ +100 +100 +1500 +up /.test(line)),
    listed.join("\n"),
  );
  t.true(listed.some((line) => /^vm1\/vm1-net0 +vlan100 +vm1-net0 +tap +.* no carrier /.test(line)));
  t.true(listed.some((line) => /^uplink +oob +nic0 /.test(line)));
  t.is(JSON.parse((await type("ports", "--json")).stdout).attachments.length, 4);

  await h.host.namespace.deleteLink({ name: "qemu7" });
  await until(async () => (await type("ports")).stdout.includes(" absent "));
  const id = /^attached (\S+)/.exec(inner.stdout)?.[1] ?? "";
  t.is((await type("detach", "web/eth0", "vm1/vm1-net0", id, "qemu7/qemu7")).code, 0);
  t.is((await type("ports")).stdout.trim().split("\n").length, 2, "the head, and the uplink");
});

test("what does not fit together is said before the daemon is asked; what the daemon refuses, with what to do", async (t) => {
  for (const [args, why] of [
    [["--netns", "web"], /--network is missing/],
    [["--network", "n"], /--netns is missing; without it give --tap or --device/],
    [["--network", "n", "--netns", "web", "--device", "tap7"], /does not go with --netns/],
    [["--network", "n", "--tap", "--device", "tap7"], /give one of them/],
    [["--network", "n", "--tap"], /--container is missing/],
    [["--network", "n", "--netns", "web", "--queues", "2"], /--queues is of a tap/],
    [["--network", "n", "--tap", "--name", "a", "--owner", "nobody-of-that-name"], /\/etc\/passwd has no/],
    [["--network", "n", "--colour", "red"], /Unknown option '--colour'/],
  ] as const) {
    const said = await portwright("attach", ...args);
    t.is(said.code, 64, said.stderr);
    t.regex(said.stderr, why);
  }
  t.is((await portwright("detach")).code, 64);
  const away = await portwright("gc", "--socket", "/nowhere/cni.sock");
  t.deepEqual([away.code, away.stderr], [1, "portwright: /nowhere/cni.sock: no daemon listens there\n"]);

  const h = await TestHost.start(t, { intent: INTENT });
  const type = typed(h);
  const unknown = await type("attach", "--network", "vlan7", "--tap", "--name", "tap0");
  t.deepEqual([unknown.code, unknown.stdout], [1, ""]);
  t.regex(unknown.stderr, /network "vlan7" is not defined\. Name a network .*\[NETWORK_UNKNOWN\]\n$/);
  const nobody = await type("detach", "nobody/eth0");
  t.is(nobody.code, 1);
  t.regex(nobody.stderr, /\[ATTACHMENT_UNKNOWN\]/);
  const reserved = await type("attach", "--network", "vlan100", "--tap", "--name", "new-br");
  t.regex(reserved.stderr, /device\.name is not usable: it is of a form that links of the daemon's own have/);
});

test("gc takes what a namespace that is gone has left, and nothing that lives", async (t) => {
  const h = await TestHost.start(t, { intent: INTENT });
  const type = typed(h);
  const [dead, alive] = [await h.lab.host("dead"), await h.lab.host("alive")];
  for (const [name, { path }] of Object.entries({ dead, alive }))
    await type("attach", "--network", "vlan100", "--netns", path, "--container", name);
  await type("attach", "--network", "vlan100", "--tap", "--name", "vm-tap");
  t.is((await type("gc")).stdout, "nothing to collect\n");
  const port = (await h.ports()).find(({ attachment }) => attachment === "dead/eth0")?.device ?? "";
  await dead.namespace.close();
  dead.handle.close();
  await nativeKernel().removeNetns(dead.path);
  await until(async () => (await h.host.namespace.link({ name: port })) === null);
  const said = await type("gc");
  t.deepEqual([said.code, said.stdout], [0, "removed dead/eth0\n"]);
  t.deepEqual((await h.ports()).flatMap(({ attachment }) => attachment || []).toSorted(), [
    "alive/eth0",
    "vm-tap/vm-tap",
  ]);
});

test("a gated tap is silent until it is opened; then the network is told of the VM once", async (t) => {
  const h = await TestHost.start(t, { intent: INTENT });
  const type = typed(h);
  const attach = ["--network", "vlan100", "--tap", "--name", "vm1", "--mac", "02:00:00:00:aa:01"];
  t.is((await type("attach", ...attach, "--gated")).code, 0);
  t.regex((await type("ports")).stdout, /^vm1\/vm1 .* gated /m);
  const guest = await openTap(t, h.host.path, "vm1");
  const wire = await tap(t, h.wire, "nic0");
  guest.send(frame({ dst: BROADCAST, src: "02:00:00:00:aa:01", payload: text("too early") }));
  t.is((await type("open", "vm1/vm1")).stdout, "opened vm1/vm1, MAC 02:00:00:00:aa:01\n");
  guest.send(frame({ dst: BROADCAST, src: "02:00:00:00:aa:01", payload: text("now") }));
  const seen = (what: string) => wire.frames.filter(({ data }) => Buffer.from(data).includes(what)).length;
  await until(() => seen("now") === 1);
  t.is(seen("too early"), 0);
  const own = Buffer.from([2, 0, 0, 0, 0xaa, 1]);
  const told = wire.frames.filter(({ data }) => Buffer.from(data).subarray(6, 12).equals(own));
  t.deepEqual(
    told.map(({ data }) => Buffer.from(data).readUInt16BE(12)),
    [0x8035, 0x88b5],
    "one RARP, and the VM's own frame",
  );
});
