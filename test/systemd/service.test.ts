// The installed service as a real systemd starts it: ready when it says so, inside its sandbox, for the right callers.
import { Machine, missingForMachine, NETWORK, SOCKETS } from "../support/systemd-machine.ts";
import { needs } from "../support/needs.ts";

const onMachine = needs(missingForMachine() === "", missingForMachine(), "serial");

interface UnitRow {
  readonly unit: string;
  readonly active: string;
  readonly sub: string;
}

onMachine("nothing starts by itself after an installation, and all units do when they are enabled", async (t) => {
  const m = await Machine.boot(t);
  const units = async () =>
    JSON.parse(await m.systemctl("list-units", "--all", "--output=json", "portwrightd*")) as UnitRow[];
  t.deepEqual(await units(), []);
  await m.enable();
  // Type=notify: systemctl returns at READY=1, and then the host is as wanted already.
  const bridge = JSON.parse(await m.output("ip", ["-json", "link", "show", "vm-br"])) as { ifalias: string }[];
  t.regex(bridge[0]?.ifalias ?? "", /^portwright bridge vm /);
  await m.output("test", ["-e", "/sys/fs/bpf/portwright/v2/maps/ports"]);
  const status = await m.output("portwright", ["status"]);
  t.regex(status, /namespace own, ready\n/);
  const running = (unit: string) => ({ unit, active: "active", sub: "running" });
  const found = (await units()).map(({ unit, active, sub }) => ({ unit, active, sub }));
  t.deepEqual(
    found.toSorted((a, b) => a.unit.localeCompare(b.unit)),
    [...SOCKETS, "portwrightd.service"].toSorted().map(running),
  );
  t.is(await m.output("curl", ["-s", "http://127.0.0.1:9469/healthz"]), '{"ok":true,"reasons":[]}');

  const modes = await m.output("stat", ["--format=%n %U:%G %a", "/run/portwright", ...PATHS]);
  t.deepEqual(modes.trim().split("\n"), [
    "/run/portwright root:portwright 750",
    "/run/portwright/cni.sock root:root 600",
    "/run/portwright/read.sock root:portwright 660",
    "/run/portwright/admin.sock root:root 600",
  ]);
  const as = async (group: string, socket: string, page: string) => {
    const who = ["--reuid=65534", `--regid=${group}`, "--clear-groups"];
    const curl = ["curl", "-s", "-f", "--unix-socket", `/run/portwright/${socket}.sock`, `http://localhost${page}`];
    return (await m.run("setpriv", [...who, ...curl])).ended;
  };
  const group = (await m.output("getent", ["group", "portwright"])).split(":")[2] ?? "";
  t.is(await as(group, "read", "/v1/status"), 0, "the group reads");
  t.is(await as("65534", "read", "/v1/status"), 7, "others do not get in");
  t.is(await as(group, "cni", "/v1/attachments"), 7);
  t.is(await as(group, "admin", "/v1/transaction"), 7);
});

const PATHS = ["cni", "read", "admin"].map((name) => `/run/portwright/${name}.sock`);

onMachine("in its sandbox the daemon switches between workloads that the plugin attached with addresses", async (t) => {
  const m = await Machine.boot(t);
  await m.enable();
  const { MainPID } = await m.state();
  const status = await m.output("cat", [`/proc/${MainPID}/status`]);
  t.regex(status, /^NoNewPrivs:\t1$/m);
  t.regex(status, /^Seccomp:\t2$/m, "a filter of system calls");
  // CAP_NET_ADMIN (12), CAP_NET_RAW (13), CAP_SYS_ADMIN (21): linux/capability.h
  t.regex(status, /^CapBnd:\t0000000000203000$/m);
  const security = await m.run("systemd-analyze", ["security", "--threshold=22", "portwrightd.service"]);
  t.is(security.ended, 0, security.stdout.trim().split("\n").at(-1) ?? "");

  await m.add("a");
  const b = await m.add("b");
  await m.add("other", 200);
  t.is(b, "10.100.0.3", "a lease of host-local");
  t.deepEqual(await m.pings("a", b, 20), { sent: 20, received: 20 });
  await m.output("ip", ["-n", "other", "route", "add", "10.100.0.0/24", "dev", "eth0"]);
  t.deepEqual(await m.pings("other", b, 3), { sent: 3, received: 0 });
  const metrics = await m.output("curl", ["-s", "http://127.0.0.1:9469/metrics"]);
  const counted = /^portwright_port_receive_packets_total\{device="pw\w+",network="vlan100",vlan="100"\} [1-9]/m;
  t.true(counted.test(metrics));
  for (const [name, vlan] of [["a"], ["b"], ["other", 200]] as const) await m.del(name, vlan);
  t.is(await m.output("ls", ["/var/lib/cni/networks/vlan100"]), "last_reserved_ip.0\nlock\n", "leases are given back");

  const entries = await m.journal();
  t.true(entries.length > 0);
  t.deepEqual(
    entries.filter(({ PRIORITY }) => PRIORITY !== "6").map(({ MESSAGE }) => MESSAGE),
    [],
    "nothing to complain of, and every line is at its own level",
  );
});

onMachine("in its sandbox the daemon makes taps, on the host and in a namespace, and takes them away", async (t) => {
  const m = await Machine.boot(t);
  await m.enable(NETWORK);
  await m.output("ip", ["netns", "add", "pod"]);
  const tap = ["--network", "vlan100", "--tap", "--owner", "daemon"];
  await m.output("portwright", ["attach", ...tap, "--name", "vm1"]);
  await m.output("portwright", ["attach", ...tap, "--netns", "pod", "--name", "vm2"]);
  t.regex(await m.output("ip", ["-d", "link", "show", "vm1"]), /tun type tap .* persist on user daemon/);
  t.regex(await m.output("ip", ["-n", "pod", "-d", "link", "show", "vm2"]), /tun type tap .* persist on user daemon/);
  await m.systemctl("restart", "portwrightd");
  await m.output("portwright", ["detach", "vm1/vm1", "pod/vm2"]);
  t.not((await m.run("ip", ["link", "show", "vm1"])).ended, 0);
  t.regex(await m.output("ip", ["-n", "pod", "-brief", "link"]), /^lo [^\n]*\n$/);
});
