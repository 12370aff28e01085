// A real QEMU on a tap that the libvirt hook of config/examples made: its queues are opened, and its frames are switched.
import { execFile, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { chmod, mkdir, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { join } from "node:path";
import { promisify } from "node:util";
import type { ExecutionContext } from "ava";
import { packageRoot } from "../../daemon/package-files.ts";
import { frame, text } from "../peers/frames.ts";
import { cachedKernel, guestRoot } from "../support/guest.ts";
import { needs } from "../support/needs.ts";
import { OOB_VLAN100, staticIpam, tap, TestHost } from "../support/test-host.ts";
import { PATIENCE, until } from "../support/until.ts";

const run = promisify(execFile);
const QEMU = "/usr/bin/qemu-system-x86_64";
const withQemu = needs(existsSync(QEMU), "qemu-system-x86");
const MAC = "52:54:00:00:00:01";
const INTENT = OOB_VLAN100();

/** Called as libvirt does. */
function hook(h: TestHost, operation: string): Promise<{ stderr: string }> {
  const env = { PATH: `${h.directory}:${process.env["PATH"]}`, PORTWRIGHT_VMS: join(h.directory, "vms") };
  return run(join(packageRoot(), "config/examples/libvirt-hook.sh"), ["vm1", operation, "begin", "-"], { env });
}

async function prepared(t: ExecutionContext, line: string): Promise<TestHost> {
  const h = await TestHost.start(t, { intent: INTENT });
  const program = join(h.directory, "portwright");
  const sockets = `--socket "${join(h.directory, "run/cni.sock")}"`;
  await writeFile(
    program,
    `#!/bin/sh\nexec "${process.execPath}" "${packageRoot()}/dist/portwright.mjs" "$@" ${sockets}\n`,
  );
  await chmod(program, 0o755);
  await mkdir(join(h.directory, "vms"));
  await writeFile(join(h.directory, "vms/vm1"), `${line}\n`);
  return h;
}

/** A machine without a disk: its firmware runs and finds nothing to boot. Answers commands of its monitor. */
function startQemu(t: ExecutionContext, h: TestHost, queues: number) {
  const monitor = join(h.directory, "qmp.sock");
  const args = [
    ...[`--net=${h.host.path}`, QEMU, "-nodefaults", "-display", "none", "-m", "64", "-accel", "tcg"],
    ...["-netdev", `tap,id=net0,ifname=vm1-net0,script=no,downscript=no,queues=${queues}`],
    ...["-device", `virtio-net-pci,netdev=net0,mac=${MAC},mq=on,vectors=${2 * queues + 2},romfile=`],
    ...["-qmp", `unix:${monitor},server=on,wait=off`],
  ];
  const child = spawn("nsenter", args, { stdio: ["ignore", "ignore", "pipe"] });
  let said = "";
  child.stderr.on("data", (chunk: Buffer) => {
    said += chunk.toString();
  });
  const ended = new Promise<void>((resolve) => child.once("close", () => resolve()));
  t.teardown(async () => {
    child.kill();
    await ended;
    if (!t.passed) t.log(said);
  });
  return {
    command: async (...commands: readonly object[]) => {
      await until(() => existsSync(monitor));
      const socket = connect(monitor);
      for (const command of [{ execute: "qmp_capabilities" }, ...commands])
        socket.write(`${JSON.stringify(command)}\n`);
      t.teardown(() => void socket.destroy());
    },
    stop: async () => {
      child.kill();
      await ended;
    },
  };
}

withQemu(
  "QEMU opens both queues of the tap that the hook made; its announcement reaches the VLAN, and the wire's frames reach it",
  async (t) => {
    const h = await prepared(t, `vlan100 vm1-net0 ${MAC} 2`);
    t.regex(
      (await hook(h, "prepare")).stderr,
      /^attached vm1\/vm1-net0 to vlan100: tap vm1-net0, .* MAC 52:54:00:00:00:01, MTU 1500\n$/,
    );
    const link = async () => await h.host.namespace.link({ name: "vm1-net0" });
    t.like((await link())?.data, { multiQueue: true, numQueues: 0 });
    const wire = await tap(t, h.wire, "nic0");
    const vm = startQemu(t, h, 2);
    const queues = async (): Promise<number> => {
      const { numQueues, numDisabledQueues } = (await link())?.data ?? {};
      return Number(numQueues) + Number(numDisabledQueues);
    };
    await until(async () => (await queues()) === 2);
    t.true((await link())?.carrier);
    await vm.command({ execute: "announce-self", arguments: { initial: 50, max: 50, rounds: 3, step: 0 } });
    const own = Buffer.from("525400000001", "hex");
    await until(() => wire.frames.some(({ data }) => Buffer.from(data).subarray(6, 12).equals(own)));
    const rarp = wire.frames.find(({ data }) => Buffer.from(data).subarray(6, 12).equals(own));
    t.is(rarp?.vlan?.tci, 100);
    t.is(Buffer.from(rarp?.data ?? []).readUInt16BE(12), 0x8035, "a RARP, as QEMU announces a VM");

    const before = (await link())?.stats.txPackets ?? 0;
    await wire.send(frame({ dst: MAC, src: "02:00:00:00:00:09", tags: [{ vid: 100 }], payload: text("to the guest") }));
    await until(async () => ((await link())?.stats.txPackets ?? 0) > before);
    await vm.stop();
    await until(async () => (await queues()) === 0);
    await hook(h, "release");
    t.is(await link(), null);
    await hook(h, "release");
  },
);

withQemu("a VM whose network is not defined does not start; one that a crash has left is started anew", async (t) => {
  const h = await prepared(t, "nowhere vm1-net0 52:54:00:00:00:01");
  await t.throwsAsync(hook(h, "prepare"), { message: /network "nowhere" is not defined/ });
  t.is(await h.host.namespace.link({ name: "vm1-net0" }), null);
  await writeFile(join(h.directory, "vms/vm1"), `vlan100 vm1-net0 ${MAC}\n`);
  await hook(h, "prepare");
  const first = await h.host.namespace.link({ name: "vm1-net0" });
  await hook(h, "prepare");
  t.not((await h.host.namespace.link({ name: "vm1-net0" }))?.ifindex, first?.ifindex);
  await hook(h, "started");
  await hook(h, "release");
});

const kernel = cachedKernel();
const withGuest = needs(
  existsSync(QEMU) && kernel !== undefined,
  "qemu-system-x86, busybox and a kernel of the VM tests",
);

withGuest("Linux in a VM pings a pod of its VLAN by the tap, and one of another VLAN not", async (t) => {
  if (kernel === undefined) return t.fail();
  const h = await prepared(t, `vlan100 vm1-net0 ${MAC}`);
  await h.add("near", { vlan: 100, ...staticIpam("10.100.0.1/24") });
  await h.add("far", { vlan: 200, ...staticIpam("10.100.0.3/24") });
  await hook(h, "prepare");
  const initrd = join(h.directory, "guest.cpio");
  const ping = (address: string): string => `ping -c 3 -W 2 ${address}; `;
  await guestRoot(kernel, `ip addr add 10.100.0.2/24 dev eth0; ${ping("10.100.0.1")}${ping("10.100.0.3")}`, initrd);
  const { stdout } = await run(
    "nsenter",
    [
      ...[`--net=${h.host.path}`, QEMU, "-nodefaults", "-display", "none", "-m", "256", "-accel", "tcg", "-no-reboot"],
      ...["-cpu", "max", "-serial", "stdio", "-kernel", kernel.image, "-initrd", initrd],
      ...["-append", "console=ttyS0 quiet panic=-1"],
      ...["-netdev", "tap,id=net0,ifname=vm1-net0,script=no,downscript=no"],
      ...["-device", `virtio-net-pci,netdev=net0,mac=${MAC},romfile=`],
    ],
    { timeout: 120_000 * PATIENCE },
  );
  t.deepEqual(
    [...stdout.matchAll(/(\d+) packets transmitted, (\d+) packets received/g)].map((match) => match.slice(1)),
    [
      ["3", "3"],
      ["3", "0"],
    ],
    stdout,
  );
  await hook(h, "release");
});
