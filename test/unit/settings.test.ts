import test from "ava";
import { HELP, parseSettings, type Settings, UsageError } from "../../daemon/settings.ts";

function settings(...argv: string[]): Settings {
  const parsed = parseSettings(argv);
  if (typeof parsed === "string") throw new Error(parsed);
  return parsed;
}

test("without arguments the daemon manages its own host, from the usual places", (t) => {
  const { intent, netns, runDirectory, stateDirectory, pinRoot, http } = settings();
  t.deepEqual(intent, ["/etc/portwright"]);
  t.is(netns, null);
  t.deepEqual(
    [runDirectory, stateDirectory, pinRoot],
    ["/run/portwright", "/var/lib/portwright", "/sys/fs/bpf/portwright"],
  );
  t.deepEqual(http, { host: "127.0.0.1", port: 9469 });
});

test("HTTP addresses: IPv4, IPv6, a name, and off", (t) => {
  t.deepEqual(settings("--http", "[::1]:80").http, { host: "::1", port: 80 });
  t.deepEqual(settings("--http", "localhost:0").http, { host: "localhost", port: 0 });
  t.is(settings("--http", "off").http, null);
});

for (const argv of [
  ["--http", "80"],
  ["--http", "127.0.0.1:65536"],
  ["--http", "::1:80"],
  ["--run-dir", "run"],
  ["--log-level", "loud"],
  ["--node-label", "rack"],
  ["--node-label", "=7"],
  ["--no-such-option"],
  ["stray"],
]) {
  test(`wrong usage is told by the option's name: ${argv.join(" ")}`, (t) => {
    const error = t.throws(() => parseSettings(argv), { instanceOf: UsageError });
    t.true(error.message.includes(argv[0] ?? ""), error.message);
  });
}

test("labels of the host come one by one, and an empty value is a value", (t) => {
  t.deepEqual(settings("--node-label", "rack=7", "--node-label", "gpu=").nodeLabels, { rack: "7", gpu: "" });
  t.deepEqual(settings().nodeLabels, {});
});

test("help and version end before anything is touched; the help names every option", (t) => {
  t.is(parseSettings(["--help"]), "help");
  t.is(parseSettings(["--version"]), "version");
  for (const name of [
    "intent",
    "netns",
    "run-dir",
    "state-dir",
    "pin-dir",
    "http",
    "node-name",
    "node-label",
    "log-level",
  ]) {
    t.true(HELP.includes(`--${name} `), name);
  }
});
