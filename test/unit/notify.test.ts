/** sd_notify against a real datagram socket, through libsystemd and through the addon. */
import { type ChildProcessByStdio, execFileSync, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import test, { type ExecutionContext } from "ava";
import { type HostAddon, nativeHost } from "../../daemon/kernel/native-host.ts";
import { createNotifier, type NotifyLibrary } from "../../daemon/notify.ts";
import { recordingLog } from "./api-fake.ts";

const kernel = nativeHost(createRequire(import.meta.url)("../../build/Release/portwright.node") as HostAddon);
const directory = mkdtempSync(path.join(tmpdir(), `pw-notify-${process.pid}-`));
const receiver = path.join(directory, "receiver");

test.before(() => {
  execFileSync("cc", [
    "-O1",
    "-Wall",
    "-Werror",
    "-o",
    receiver,
    path.join(import.meta.dirname, "../peers/notify-receiver.c"),
  ]);
});
test.after.always(() => rmSync(directory, { recursive: true, force: true }));

interface Peer {
  readonly address: string;
  next(): Promise<string>;
}

async function startPeer(t: ExecutionContext, address: string): Promise<Peer> {
  const child: ChildProcessByStdio<null, Readable, null> = spawn(receiver, [address], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  t.teardown(() => void child.kill());
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const next = async () => {
    const { value, done } = await lines.next();
    if (done) throw new Error("the receiver ended");
    return value;
  };
  t.is(await next(), "ready");
  return { address, next: async () => Buffer.from(await next(), "hex").toString("utf8") };
}

/** libsystemd reads NOTIFY_SOCKET from the process's own environment, so these run in a process of their own. */
function notifyFromChild(
  env: NodeJS.ProcessEnv,
  calls: string,
  kernelNotify = "() => { throw new Error('twin') }",
): string {
  const script = `
    import { createNotifier } from ${JSON.stringify(path.join(import.meta.dirname, "../../daemon/notify.ts"))};
    const log = { warn: (f, m) => console.log(m, String(f.error)), debug: (f, m) => console.log(m) };
    const n = await createNotifier({ kernel: { notify: ${kernelNotify} }, log });
    ${calls}`;
  return execFileSync(process.execPath, ["--import=tsx", "--input-type=module", "-e", script], {
    env: { PATH: process.env.PATH, ...env },
    cwd: path.join(import.meta.dirname, "../.."),
    encoding: "utf8",
  });
}

test("libsystemd says what the daemon says", async (t) => {
  const peer = await startPeer(t, path.join(directory, "ffi.sock"));
  const out = notifyFromChild(
    { NOTIFY_SOCKET: peer.address },
    `n.status("line one\\nREADY=1"); n.reloading(); n.ready(); n.stopping();`,
  );
  t.is(out, "");
  t.is(await peer.next(), "STATUS=line one READY=1");
  t.regex(await peer.next(), /^RELOADING=1\nMONOTONIC_USEC=\d+$/);
  t.is(await peer.next(), "READY=1");
  t.is(await peer.next(), "STOPPING=1");
});

test("libsystemd tells the watchdog's interval; the ping goes through the addon", (t) => {
  const calls = `console.log(n.watchdogInterval()); n.watchdog();`;
  const ping = "(socket, message) => console.log(socket, message)";
  const env = { NOTIFY_SOCKET: "/nowhere", WATCHDOG_USEC: "30000000" };
  t.is(notifyFromChild(env, calls, ping), "30000\n/nowhere WATCHDOG=1\n");
  t.is(notifyFromChild({ ...env, WATCHDOG_PID: "1" }, calls, ping), "null\n/nowhere WATCHDOG=1\n");
});

test("without NOTIFY_SOCKET nothing is loaded and nothing is sent", async (t) => {
  const forbidden = () => t.fail("called");
  const notifier = await createNotifier({
    kernel: { notify: forbidden },
    log: recordingLog().log,
    env: { WATCHDOG_USEC: "1000000" },
    loadLibrary: async (): Promise<NotifyLibrary> => {
      throw t.fail("loaded");
    },
  });
  notifier.ready();
  notifier.reloading();
  notifier.stopping();
  notifier.status("x");
  notifier.watchdog();
  t.is(notifier.watchdogInterval(), null);
});

for (const [kind, address] of [
  ["a path", path.join(directory, "twin.sock")],
  ["an abstract name", `@pw-notify-${process.pid}`],
] as const) {
  test(`the addon stands in where libsystemd cannot be called, to ${kind}`, async (t) => {
    const peer = await startPeer(t, address);
    const { log, records } = recordingLog();
    const notifier = await createNotifier({
      kernel,
      log,
      env: { NOTIFY_SOCKET: address, WATCHDOG_USEC: "3000000", WATCHDOG_PID: String(process.pid) },
      loadLibrary: async () => {
        throw new Error("no such library");
      },
    });
    notifier.ready();
    notifier.status("5 networks\n");
    notifier.watchdog();
    t.is(await peer.next(), "READY=1");
    t.is(await peer.next(), "STATUS=5 networks ");
    t.is(await peer.next(), "WATCHDOG=1");
    t.is(notifier.watchdogInterval(), 3000);
    t.deepEqual(
      records.map((r) => r.level),
      ["debug"],
    );
  });
}

test("a watchdog meant for another process, or without a number, is none", async (t) => {
  const options = { kernel, log: recordingLog().log, loadLibrary: () => Promise.reject(new Error("none")) };
  for (const env of [
    { WATCHDOG_USEC: "1000", WATCHDOG_PID: "1" },
    { WATCHDOG_USEC: "soon" },
    { WATCHDOG_USEC: "0" },
    {},
  ]) {
    const notifier = await createNotifier({ ...options, env: { NOTIFY_SOCKET: "/nowhere", ...env } });
    t.is(notifier.watchdogInterval(), null);
  }
});

test("when systemd cannot be reached it is said once, and the daemon goes on", async (t) => {
  const { log, records } = recordingLog();
  const notifier = await createNotifier({
    kernel,
    log,
    env: { NOTIFY_SOCKET: path.join(directory, "nobody.sock") },
    loadLibrary: () => Promise.reject(new Error("none")),
  });
  notifier.ready();
  notifier.watchdog();
  t.is(records.filter((r) => r.level === "warn").length, 1);
});
