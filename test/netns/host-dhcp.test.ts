// DHCP on the host's interface in a VLAN, with a real client and a real server behind the uplink.
import { execFile } from "node:child_process";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import test from "ava";
import { dhcpServer, HOST_NETWORK, hostNetwork, pings, WireSwitch } from "../support/host-network.ts";
import { until } from "../support/until.ts";
import { OOB, TestHost } from "../support/test-host.ts";

const run = promisify(execFile);
const ip = (h: TestHost, ...args: string[]) => run("nsenter", [`--net=${h.host.path}`, "ip", ...args]);
const DHCP = `${OOB()}---${HOST_NETWORK("storage", 100, "mode: dhcp")}`;
const RANGE = { first: "10.100.0.50", last: "10.100.0.60" };

/** Processes of this namespace whose command line has the words. */
async function clients(h: TestHost): Promise<readonly number[]> {
  const { stdout } = await run("ip", ["netns", "pids", h.host.path.split("/").pop() ?? ""]);
  const pids = stdout.split("\n").filter(Boolean).map(Number);
  const named = await Promise.all(
    pids.map(async (pid) => {
      const line = await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "");
      return line.includes("udhcpc") ? [pid] : [];
    }),
  );
  return named.flat();
}

async function addressesOf(h: TestHost): Promise<readonly string[]> {
  const { addresses } = await hostNetwork(h, "storage");
  return addresses.map(({ address }) => address).filter((one) => !one.startsWith("fe80"));
}

test("a lease comes across the VLAN and survives a restart and a kill under pings; a client that dies comes back", async (t) => {
  const h = await TestHost.start(t, { intent: DHCP, ready: false });
  const wire = await WireSwitch.build(t, h, [100]);
  const gateway = await wire.station("gw", 100, "10.100.0.1/24");
  t.deepEqual(
    (await h.status()).conditions.map(({ code, object }) => `${object} ${code}`),
    ["HostNetworkConfig/storage DHCP_NO_LEASE"],
  );
  const server = await dhcpServer(t, gateway, h.directory, { ...RANGE, lease: 600 });
  await until(async () => (await hostNetwork(h, "storage")).ready);
  const [address = ""] = await addressesOf(h);
  t.regex(address, /^10\.100\.0\.(5\d|60)\/24$/);
  const { lease } = await hostNetwork(h, "storage");
  t.is(lease?.server, "10.100.0.1");
  t.true(Date.parse(lease?.expiresAt ?? "") - Date.parse(lease?.obtainedAt ?? "") === 600_000);
  t.true(await pings(h.host, "10.100.0.1"));
  const { stdout: routes } = await run("nsenter", [`--net=${h.host.path}`, "ip", "route", "show", "default"]);
  t.is(routes, "", "no default route");

  const host = address.split("/")[0] ?? "";
  const lost = pingsEvery10ms(gateway.path, host);
  const asked = () => server.log().split(`sending ACK to ${host}`).length;
  for (const end of ["stop", "kill"] as const) {
    const before = asked();
    await h.daemon[end]();
    await until(async () => (await clients(h)).length === 0);
    await h.start();
    t.deepEqual(await addressesOf(h), [address], "in force at once, before the server is asked");
    await until(() => asked() > before);
  }
  await until(async () => (await clients(h)).length === 1);
  const [pid = 0] = await clients(h);
  const before = asked();
  process.kill(pid, "SIGKILL");
  await until(async () => {
    const now = await clients(h);
    return now.length === 1 && now[0] !== pid;
  });
  await until(() => asked() > before);
  t.deepEqual(await addressesOf(h), [address]);
  t.is(await lost(), 0);

  await ip(h, "addr", "del", address, "dev", "oob-br.100");
  await until(async () => (await hostNetwork(h, "storage")).ready);
  t.deepEqual(await addressesOf(h), [address], "the lease's address is repaired without asking the server");

  await writeFile(join(h.directory, "intent.yaml"), OOB());
  process.kill(h.daemon.pid, "SIGHUP");
  await until(async () => (await clients(h)).length === 0);
  t.is(await h.host.namespace.link({ name: "oob-br.100" }), null);
  await t.throwsAsync(readFile(join(h.directory, "state/leases/oob-br.100.json")), { code: "ENOENT" });
});

test("a lease that the server renews no more runs out: the address goes, the condition comes; a new server ends both", async (t) => {
  const h = await TestHost.start(t, { intent: DHCP, ready: false });
  const wire = await WireSwitch.build(t, h, [100]);
  const gateway = await wire.station("gw", 100, "10.100.0.1/24");
  const server = await dhcpServer(t, gateway, h.directory, { ...RANGE, lease: 16 });
  await until(async () => (await hostNetwork(h, "storage")).ready);
  await server.stop();
  await until(async () => (await addressesOf(h)).length === 0, 60_000);
  // The address goes in a round, the condition comes at its end.
  await until(async () => !(await h.status()).ready);
  const { conditions } = await h.status();
  t.deepEqual(
    conditions.map(({ code }) => code),
    ["DHCP_NO_LEASE"],
  );
  t.is((await hostNetwork(h, "storage")).lease, null);
  await dhcpServer(t, gateway, h.directory, { ...RANGE, lease: 600 });
  await until(async () => (await h.status()).ready);
  t.is((await addressesOf(h)).length, 1);
});

/** Pings until called; then how many were lost. The last may be on its way when the program is ended. */
function pingsEvery10ms(netns: string, address: string): () => Promise<number> {
  const child = execFile("nsenter", [`--net=${netns}`, "ping", "-n", "-i", "0.01", address]);
  let text = "";
  child.stdout?.on("data", (chunk: string) => (text += chunk));
  const gone = new Promise<void>((resolve) => child.on("exit", () => resolve()));
  return async () => {
    child.kill("SIGINT");
    await gone;
    const answered = new Set([...text.matchAll(/icmp_seq=(\d+) ttl/g)].map((match) => Number(match[1])));
    const last = Math.max(0, ...answered);
    if (last < 100) throw new Error(`only ${last} pings were answered: ${text}`);
    return last - answered.size;
  };
}
