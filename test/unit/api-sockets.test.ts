/** Where the API listens: socket files and their modes, what is in the way, what systemd passed, loopback only. */
import { execFile, spawn } from "node:child_process";
import { chmodSync, existsSync, lstatSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { type AddressInfo, createConnection, createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import test, { type ExecutionContext } from "ava";
import { passedSockets } from "../../daemon/api/activation.ts";
import { isLoopbackHost, loopbackAddress } from "../../daemon/api/loopback.ts";
import { until } from "../support/until.ts";
import { client, startTestApi } from "./api-fake.ts";

function privateDirectory(t: ExecutionContext): string {
  const directory = mkdtempSync(path.join(tmpdir(), `pw-api-sock-${process.pid}-`));
  t.teardown(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

const mode = (file: string) => lstatSync(file).mode & 0o7777;

test("sockets and their directory have the modes of their surface, whatever the umask", async (t) => {
  const umask = process.umask(0);
  t.teardown(() => process.umask(umask));
  const { runDirectory, api, close } = await startTestApi();
  t.teardown(close);
  t.is(mode(runDirectory), 0o750);
  t.is(mode(api.addresses.cni), 0o600);
  t.is(mode(api.addresses.read), 0o660);
  t.is(mode(api.addresses.admin), 0o600);
  t.is(process.umask(), 0);
});

test("closing removes the sockets, and starting again works", async (t) => {
  const { runDirectory, api, close } = await startTestApi();
  t.teardown(close);
  await api.close();
  t.false(existsSync(api.addresses.cni));
  t.false(existsSync(api.addresses.read));
  const again = await startTestApi({ runDirectory });
  t.teardown(again.close);
  t.is((await again.read("GET", "/healthz")).status, 200);
});

test("a socket left behind by a killed daemon is replaced", async (t) => {
  const runDirectory = privateDirectory(t);
  await leaveStaleSocket(path.join(runDirectory, "cni.sock"));
  t.true(lstatSync(path.join(runDirectory, "cni.sock")).isSocket());
  const { cni, close } = await startTestApi({ runDirectory });
  t.teardown(close);
  t.is((await cni("GET", "/v1/attachments")).status, 200);
});

test("a socket that somebody answers on is left alone, and nothing of ours stays open", async (t) => {
  const first = await startTestApi();
  t.teardown(first.close);
  const error = await t.throwsAsync(startTestApi({ runDirectory: first.runDirectory }));
  t.like(error, { code: "SOCKET_IN_USE" });
  t.is((await first.cni("GET", "/v1/attachments")).status, 200);
  t.is((await first.read("GET", "/healthz")).status, 200);

  const runDirectory = privateDirectory(t);
  const other = await listen(path.join(runDirectory, "read.sock"));
  t.teardown(() => void other.close());
  t.like(await t.throwsAsync(startTestApi({ runDirectory })), { code: "SOCKET_IN_USE" });
  t.false(existsSync(path.join(runDirectory, "cni.sock")));
  t.true(existsSync(path.join(runDirectory, "read.sock")));
});

test("what is no socket, or not ours, is left alone", async (t) => {
  const runDirectory = privateDirectory(t);
  const file = path.join(runDirectory, "cni.sock");
  writeFileSync(file, "precious");
  await t.throwsAsync(startTestApi({ runDirectory }), { code: "SOCKET_IN_USE", message: /not a socket/ });
  rmSync(file);
  symlinkSync(path.join(runDirectory, "elsewhere.sock"), file);
  await t.throwsAsync(startTestApi({ runDirectory }), { code: "SOCKET_IN_USE", message: /not a socket/ });
  t.true(lstatSync(file).isSymbolicLink());
});

test("a socket path that the kernel would cut off is refused", async (t) => {
  const runDirectory = path.join(privateDirectory(t), "x".repeat(90));
  t.like(await t.throwsAsync(startTestApi({ runDirectory })), { code: "SOCKET_PATH_TOO_LONG" });
  t.false(existsSync(path.join(runDirectory, "cni.sock")));
});

test("a run directory that others could write to is refused", async (t) => {
  const root = privateDirectory(t);
  const refuse = async (runDirectory: string, expected: RegExp) => {
    const error = await t.throwsAsync(startTestApi({ runDirectory }));
    t.like(error, { code: "DIRECTORY_UNSAFE" });
    t.regex(error?.message ?? "", expected);
  };
  const open = path.join(root, "open");
  mkdirSync(open);
  chmodSync(open, 0o757);
  await refuse(open, /writable by others \(0757\)/);
  await refuse(path.join(open, "run"), /where the run directory lies, is writable by others/);
  t.false(existsSync(path.join(open, "run")));

  symlinkSync("/tmp", path.join(root, "link"));
  await refuse(path.join(root, "link"), /symbolic link/);
  symlinkSync(root, path.join(root, "up"));
  await refuse(path.join(root, "up", "run"), /symbolic link/);
  writeFileSync(path.join(root, "file"), "");
  await refuse(path.join(root, "file"), /not a directory/);
  await refuse(path.join(root, "absent", "run"), /cannot read/);

  chmodSync(open, 0o1777); // as /tmp is
  const { close } = await startTestApi({ runDirectory: path.join(open, "run") });
  await close();
});

test("HTTP stays on loopback", async (t) => {
  for (const host of ["0.0.0.0", "::", "192.0.2.1", "example.org", ""]) {
    const error = await t.throwsAsync(startTestApi({ http: { host, port: 0 } }));
    t.like(error, { code: "HTTP_NOT_LOOPBACK" }, host);
  }
  t.is(loopbackAddress("localhost"), "127.0.0.1");
  t.is(loopbackAddress("127.1.2.3"), "127.1.2.3");
  t.is(loopbackAddress("::1"), "::1");
});

test("a port that is taken is a clear error, and the sockets are gone again", async (t) => {
  const first = await startTestApi();
  t.teardown(first.close);
  const port = Number(new URL(first.api.addresses.http ?? "").port);
  const runDirectory = privateDirectory(t);
  const error = await t.throwsAsync(startTestApi({ runDirectory, http: { host: "127.0.0.1", port } }));
  t.like(error, { code: "PORT_IN_USE", message: `something else listens on 127.0.0.1:${port}` });
  t.false(existsSync(path.join(runDirectory, "cni.sock")));
});

test("without an HTTP address there is no HTTP", async (t) => {
  const { api, read, close } = await startTestApi({ http: null });
  t.teardown(close);
  t.is(api.addresses.http, null);
  t.is((await read("GET", "/metrics")).status, 200);
});

test("a name that was pointed at loopback is refused (DNS rebinding)", async (t) => {
  const { http, rejected, close } = await startTestApi();
  t.teardown(close);
  for (const host of [
    "evil.example",
    "evil.example:80",
    "127.0.0.1.evil.example",
    "localhost.evil",
    "[::2]",
    "192.0.2.1",
  ]) {
    const answer = await http("GET", "/metrics", { headers: { host } });
    t.is(answer.status, 403, host);
    t.is(answer.json.error.code, "HOST_REFUSED");
  }
  t.true(rejected.every((r) => r === "host"));
  for (const host of [
    "localhost",
    "localhost:9469",
    "LOCALHOST",
    "127.0.0.1:1",
    "127.9.9.9",
    "[::1]:9469",
    "[0:0:0:0:0:0:0:1]",
  ]) {
    t.true(isLoopbackHost(host), host);
    t.is((await http("GET", "/healthz", { headers: { host } })).status, 200, host);
  }
  t.false(isLoopbackHost(undefined));
  t.false(isLoopbackHost(""));
});

test("sockets passed by systemd are told by name, or by order, and only to the process they are for", (t) => {
  const env = (more: NodeJS.ProcessEnv) => ({ LISTEN_PID: "7", ...more });
  t.deepEqual(passedSockets(env({ LISTEN_FDS: "2", LISTEN_FDNAMES: "read:cni" }), 7), { read: 3, cni: 4 });
  t.deepEqual(passedSockets(env({ LISTEN_FDS: "2" }), 7), { cni: 3, read: 4 });
  t.deepEqual(passedSockets(env({ LISTEN_FDS: "4" }), 7), { cni: 3, read: 4, admin: 5 });
  t.deepEqual(passedSockets(env({ LISTEN_FDS: "2", LISTEN_FDNAMES: "http:read" }), 7), { http: 3, read: 4 });
  t.deepEqual(passedSockets(env({ LISTEN_FDS: "3", LISTEN_FDNAMES: "other:x:cni" }), 7), { cni: 5 });
  t.deepEqual(passedSockets(env({ LISTEN_FDS: "1", LISTEN_FDNAMES: "cni:read" }), 7), { cni: 3 });
  t.deepEqual(passedSockets(env({ LISTEN_FDS: "2" }), 8), {});
  t.deepEqual(passedSockets({}, 7), {});
  const used: NodeJS.ProcessEnv = env({ LISTEN_FDS: "1" });
  passedSockets(used, 7);
  t.deepEqual(used, {});
});

test("a daemon started by socket activation answers on the passed sockets and leaves their files in place", async (t) => {
  const directory = privateDirectory(t);
  const at = (name: string) => path.join(directory, name);
  const sockets = { cni: at("cni.sock"), read: at("read.sock"), admin: at("admin.sock") };
  const child = spawn(
    "systemd-socket-activate",
    [
      `--listen=${sockets.cni}`,
      `--listen=${sockets.read}`,
      `--listen=${sockets.admin}`,
      "--fdname=cni:read:admin",
      "-E",
      "PATH",
      process.execPath,
      "--import=tsx",
      fixture("api-activated.ts"),
    ],
    { stdio: ["pipe", "pipe", "ignore"] },
  );
  t.teardown(() => void child.kill("SIGKILL"));
  await untilExists(sockets.read);
  const [cni, read] = [client({ socketPath: sockets.cni }), client({ socketPath: sockets.read })];
  t.is((await cni("GET", "/v1/attachments")).status, 200);
  t.is((await read("GET", "/healthz")).status, 200);
  t.is((await read("GET", "/v1/status")).json.version, "0.1.0");
  t.is((await client({ socketPath: sockets.admin })("GET", "/v1/plan")).status, 200);
  const ended = new Promise<number | null>((resolve) => child.once("exit", resolve));
  child.stdin.end();
  t.is(await ended, 0);
  t.true(existsSync(sockets.cni));
});

test("HTTP is served on a passed TCP socket, and a passed unix socket is refused for it", async (t) => {
  const directory = privateDirectory(t);
  const start = (...addresses: readonly string[]) => {
    const command = [process.execPath, "--import=tsx", fixture("api-activated.ts"), "--http"];
    const options = [...addresses.map((one) => `--listen=${one}`), "--fdname=cni:read:admin:http", "-E", "PATH"];
    const child = spawn("systemd-socket-activate", [...options, ...command], { stdio: ["pipe", "pipe", "ignore"] });
    t.teardown(() => void child.kill("SIGKILL"));
    return child;
  };
  const at = (name: string) => path.join(directory, name);
  const port = await freePort();
  const child = start(at("cni.sock"), at("read.sock"), at("admin.sock"), `127.0.0.1:${port}`);
  await untilExists(at("read.sock"));
  t.is((await client({ socketPath: at("read.sock") })("GET", "/healthz")).status, 200);
  t.is((await client({ host: "127.0.0.1", port })("GET", "/metrics")).status, 200);
  child.stdin.end();

  const refused = start(at("cni2.sock"), at("read2.sock"), at("admin2.sock"), at("http.sock"));
  const ended = new Promise<number | null>((resolve) => refused.once("exit", resolve));
  await untilExists(at("read2.sock"));
  createConnection(at("read2.sock")).on("error", () => {});
  t.not(await ended, 0);
});

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen({ host: "127.0.0.1", port: 0 }, resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

function fixture(name: string): string {
  return path.join(import.meta.dirname, name);
}

async function untilExists(file: string): Promise<void> {
  await until(() => existsSync(file));
}

function listen(socketPath: string): Promise<Server> {
  return new Promise((resolve) => {
    const server = createServer().listen(socketPath, () => resolve(server));
  });
}

/** As kill -9 does: the process goes, the file stays. */
async function leaveStaleSocket(socketPath: string): Promise<void> {
  const script = `require("net").createServer().listen(${JSON.stringify(socketPath)}, () => process.kill(process.pid, "SIGKILL"))`;
  await promisify(execFile)(process.execPath, ["-e", script]).catch(() => {});
}
