// The units as systemd's own tools see them, and as the daemon's defaults want them. No systemd needs to run.
import { execFile } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import test, { type ExecutionContext } from "ava";
import { passedSockets } from "../../daemon/api/activation.ts";
import { DAEMON_NODE_OPTIONS } from "../../daemon/package-files.ts";
import { parseSettings } from "../../daemon/settings.ts";
import { needs } from "../support/needs.ts";

const run = promisify(execFile);
const directory = path.join(import.meta.dirname, "../../systemd");
const unitNames = readdirSync(directory).filter((name) => /\.(service|socket)$/.test(name));
const read = (name: string) => readFileSync(path.join(directory, name), "utf8");
const values = (name: string, key: string) =>
  [...read(name).matchAll(new RegExp(`^${key}=(.*)$`, "gm"))].map((match) => match[1] ?? "");

const isInstalled = (program: string) => ["/usr/bin", "/bin"].some((at) => existsSync(path.join(at, program)));
const withAnalyze = needs(isInstalled("systemd-analyze"), "systemd-analyze");
const withTools = needs(isInstalled("systemd-sysusers") && isInstalled("systemd-tmpfiles"), "systemd's tools");

function temporary(t: ExecutionContext): string {
  const made = mkdtempSync(path.join(tmpdir(), `pw-systemd-${process.pid}-`));
  t.teardown(() => rmSync(made, { recursive: true, force: true }));
  return made;
}

withAnalyze("systemd-analyze verify has nothing to say about the units", async (t) => {
  const at = temporary(t);
  // Node is elsewhere on some machines, and a program that is absent is a finding.
  for (const name of unitNames) {
    writeFileSync(path.join(at, name), read(name).replaceAll("/usr/bin/node", process.execPath));
  }
  // It exits with 0 on keys that it does not know: what counts is that it is silent.
  const { stdout, stderr } = await run("systemd-analyze", ["verify", ...unitNames.map((name) => path.join(at, name))]);
  t.is(stdout + stderr, "");
});

withAnalyze("the service's exposure is at most 2.2", async (t) => {
  const service = path.join(directory, "portwrightd.service");
  await t.notThrowsAsync(run("systemd-analyze", ["security", "--offline=yes", "--threshold=22", service]));
});

test("every socket is passed under a name that the daemon knows, to where its clients look", (t) => {
  const settings = parseSettings([]);
  if (typeof settings === "string" || settings.http === null) return t.fail("no defaults");
  const { runDirectory, http } = settings;
  const wanted = {
    cni: `${runDirectory}/cni.sock`,
    read: `${runDirectory}/read.sock`,
    admin: `${runDirectory}/admin.sock`,
    http: `${http.host}:${http.port}`,
  };
  const sockets = unitNames.filter((name) => name.endsWith(".socket"));
  const said = sockets.map((name) => [values(name, "FileDescriptorName")[0], values(name, "ListenStream")[0]]);
  t.deepEqual(Object.fromEntries(said), wanted);
  const names = Object.keys(wanted);
  const env = { LISTEN_PID: "1", LISTEN_FDS: String(names.length), LISTEN_FDNAMES: names.join(":") };
  t.deepEqual(Object.keys(passedSockets(env, 1)).toSorted(), names.toSorted());
  t.deepEqual(values("portwrightd.service", "Sockets")[0]?.split(" ").toSorted(), sockets.toSorted());
  t.deepEqual(
    sockets.map((name) => values(name, "Service")),
    sockets.map(() => ["portwrightd.service"]),
  );
});

test("the service runs the daemon with the options of Node that the tests run it with", (t) => {
  const [command = ""] = values("portwrightd.service", "ExecStart");
  t.deepEqual(command.split(" ").slice(1, -1), [...DAEMON_NODE_OPTIONS]);
});

test("the service's directories are those of the daemon's defaults", (t) => {
  const settings = parseSettings([]);
  if (typeof settings === "string") return t.fail("no defaults");
  const of = (key: string) => values("portwrightd.service", key)[0] ?? "";
  t.is(`/run/${of("RuntimeDirectory")}`, settings.runDirectory);
  t.is(`/var/lib/${of("StateDirectory")}`, settings.stateDirectory);
  t.deepEqual([`/etc/${of("ConfigurationDirectory")}`], settings.intent);
  t.true(of("ReadWritePaths").split(" ").includes(`-${settings.pinRoot}`));
});

withTools("sysusers and tmpfiles make the group and a run directory that it can reach", async (t) => {
  const at = temporary(t);
  mkdirSync(path.join(at, "etc"));
  writeFileSync(path.join(at, "etc/group"), "root:x:0:\n");
  writeFileSync(path.join(at, "etc/passwd"), "root:x:0:0::/root:/bin/sh\n");
  await run("systemd-sysusers", [`--root=${at}`, path.join(directory, "sysusers.d/portwright.conf")]);
  t.regex(readFileSync(path.join(at, "etc/group"), "utf8"), /^portwright:x:\d+:$/m);
  await run("systemd-tmpfiles", [`--root=${at}`, "--create", path.join(directory, "tmpfiles.d/portwright.conf")]);
  t.is(statSync(path.join(at, "run/portwright")).mode & 0o7777, 0o750);
  t.true(statSync(path.join(at, "var/lib/cni")).isDirectory());
  t.is(statSync(path.join(at, "sys/fs/bpf/portwright")).mode & 0o7777, 0o700);
});
