/** The host's functions of the addon: bpffs, credentials of unix peers, sd_notify, and the layout of bpf/abi.h. */
import { spawn } from "node:child_process";
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { type ExecutionContext } from "ava";
import { KernelError } from "../../daemon/kernel/kernel-error.ts";
import { host, possibleCpus, run } from "./fixtures/lab.ts";

function directory(t: ExecutionContext): string {
  const path = mkdtempSync(join(tmpdir(), `pwk${process.pid}-host-`));
  t.teardown(() => {
    if (host.isBpffs(path)) host.unmountBpffs(path);
    rmSync(path, { recursive: true, force: true });
  });
  return path;
}

const refusal = (t: ExecutionContext, call: () => unknown): KernelError | undefined =>
  t.throws(call, { instanceOf: KernelError });

test("a bpffs is mounted once, recognised and unmounted", (t) => {
  const path = directory(t);
  t.false(host.isBpffs(path));
  host.mountBpffs(path);
  t.true(host.isBpffs(path));
  host.mountBpffs(path);
  const mounts = readFileSync("/proc/self/mountinfo", "utf8").split("\n");
  const mine = mounts.filter((line) => line.includes(` ${path} `));
  t.is(mine.length, 1);
  t.regex(mine[0] ?? "", /nosuid,nodev,noexec.* - bpf bpf .*mode=700/);
  host.unmountBpffs(path);
  t.false(host.isBpffs(path));
});

test("what is no bpffs is neither unmounted nor mistaken for one", async (t) => {
  const path = directory(t);
  t.like(
    refusal(t, () => host.unmountBpffs(path)),
    { code: "EINVAL", object: path },
  );
  await run("mount", ["-t", "tmpfs", "tmpfs", path]);
  t.teardown(() => run("umount", [path]));
  t.like(
    refusal(t, () => host.unmountBpffs(path)),
    { code: "EINVAL", object: path },
  );
  t.false(host.isBpffs(join(path, "absent")));
  t.like(
    refusal(t, () => host.mountBpffs(join(path, "absent"))),
    { code: "ENOENT", op: "mount" },
  );
  writeFileSync(join(path, "file"), "");
  t.like(
    refusal(t, () => host.mountBpffs(join(path, "file"))),
    { code: "ENOTDIR" },
  );
});

async function listening(
  t: ExecutionContext,
  at: string | number,
): Promise<{ server: Server; socket: Promise<Socket> }> {
  const server = createServer();
  t.teardown(() => server.close());
  const socket = new Promise<Socket>((resolve) => server.once("connection", resolve));
  await new Promise<void>((resolve) => server.listen(at, resolve));
  return { server, socket };
}

/** A process of its own that connects to `address` and stays until the test ends. */
function client(t: ExecutionContext, address: string, ids: { uid?: number; gid?: number }): number {
  const child = spawn(process.execPath, ["-e", `require("net").connect(${address})`], { stdio: "inherit", ...ids });
  t.teardown(() => child.kill());
  return child.pid as number;
}

const fdOf = (socket: Socket): number => (socket as unknown as { _handle: { fd: number } })._handle.fd;

test("a unix peer's process, user and group are those of the process that connected", async (t) => {
  // Abstract, so that a user without rights can reach it.
  const name = `pwk${process.pid}-credentials`;
  const path = join(directory(t), "socket");
  const own = await listening(t, path);
  const ownPid = client(t, JSON.stringify(path), {});
  t.deepEqual(host.peerCredentials(fdOf(await own.socket)), { pid: ownPid, uid: 0, gid: 0 });
  const other = await listening(t, `\0${name}`);
  const pid = client(t, JSON.stringify(`\0${name}`), { uid: 65534, gid: 1234 });
  t.deepEqual(host.peerCredentials(fdOf(await other.socket)), { pid, uid: 65534, gid: 1234 });
});

test("what has no peer credentials is an error, not user 4294967295", async (t) => {
  const { server, socket } = await listening(t, 0);
  client(t, String((server.address() as { port: number }).port), {});
  const tcp = fdOf(await socket);
  t.like(
    refusal(t, () => host.peerCredentials(tcp)),
    { code: "ENOTCONN" },
  );
  t.like(
    refusal(t, () => host.peerCredentials(99_999)),
    { code: "EBADF" },
  );
  const file = openSync("/dev/null", "r");
  t.teardown(() => closeSync(file));
  t.like(
    refusal(t, () => host.peerCredentials(file)),
    { code: "ENOTSOCK" },
  );
});

/** Node has no unix datagram sockets: perl, which every Debian has, plays the service manager. */
const RECEIVER = `
  use Socket; use strict;
  socket(my $s, AF_UNIX, SOCK_DGRAM, 0) or die $!;
  my $name = $ARGV[0]; $name =~ s/^@/\\0/;
  bind($s, pack_sockaddr_un($name)) or die $!;
  $| = 1; print "ready\\n";
  recv($s, my $message, 4096, 0); print $message;
`;

async function notified(t: ExecutionContext, address: string, message: string): Promise<string> {
  const receiver = spawn("perl", ["-e", RECEIVER, address], { stdio: ["ignore", "pipe", "inherit"] });
  t.teardown(() => receiver.kill());
  let output = "";
  for await (const chunk of receiver.stdout) {
    if (output === "") host.notify(address, message);
    output += chunk;
  }
  return output;
}

test("a notification reaches a socket by path and by abstract name", async (t) => {
  const message = "READY=1\nSTATUS=2 networks\n";
  t.is(await notified(t, join(directory(t), "notify"), message), `ready\n${message}`);
  t.is(await notified(t, `@pwk${process.pid}-notify`, message), `ready\n${message}`);
});

test("a notification that reaches nobody is an error with the address", (t) => {
  const absent = join(directory(t), "absent");
  t.like(
    refusal(t, () => host.notify(absent, "READY=1")),
    { code: "ENOENT", object: absent },
  );
  t.like(
    refusal(t, () => host.notify("relative", "READY=1")),
    { code: "EINVAL" },
  );
  t.like(
    refusal(t, () => host.notify("", "READY=1")),
    { code: "EINVAL" },
  );
  t.like(
    refusal(t, () => host.notify(`/${"x".repeat(107)}`, "READY=1")),
    { code: "ENAMETOOLONG" },
  );
});

test("cpus is the number of possible CPUs", (t) => {
  const ranges = possibleCpus()
    .split(",")
    .map((range) => range.split("-").map(Number));
  t.is(
    host.cpus,
    ranges.reduce((sum, [first = 0, last = first]) => sum + last - first + 1, 0),
  );
});

test("the layout table has every structure, field and value of bpf/abi.h", (t) => {
  const header = readFileSync(join(import.meta.dirname, "../../bpf/abi.h"), "utf8").replace(/\/\*[^]*?\*\//g, "");
  const names = new Set<string>();
  for (const [, name] of header.matchAll(/^#define (PW_\w+) /gm)) names.add(name as string);
  for (const [, , body] of header.matchAll(/enum (\w+) \{([^}]*)\}/g)) {
    for (const [name] of (body as string).matchAll(/PW_\w+/g)) names.add(name);
  }
  for (const [, struct, body] of header.matchAll(/struct (\w+) \{([^}]*)\}/g)) {
    names.add(struct as string);
    for (const [, field] of (body as string).matchAll(/\w+ (\w+)(?:\[[^\]]*\])?;/g)) names.add(`${struct}.${field}`);
  }
  t.true(names.size > 80);
  t.deepEqual(Object.keys(host.abi).sort(), [...names].sort());
  t.is(host.abi["pw_port.pvid"], 6);
  t.is(host.abi.pw_event, 24);
  t.is(host.abi.PW_FDB_MAX, 65_536);
});
