// Addresses by the dhcp plugin of Debian's package: its own daemon, and a real server behind the uplink.
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import test, { type ExecutionContext } from "ava";
import { runCni } from "../../daemon/demo/container-runtime.ts";
import { dhcpServer, pings, WireSwitch } from "../support/host-network.ts";
import { OOB, TestHost } from "../support/test-host.ts";
import { until } from "../support/until.ts";

const run = promisify(execFile);
/** One alone: who comes next has it only if it was given back. */
const RANGE = { first: "10.100.0.50", last: "10.100.0.50", lease: 600 };

/** The plugin's daemon, which keeps leases for it. */
async function dhcpDaemon(t: ExecutionContext, socket: string): Promise<{ readonly log: () => string }> {
  const program = ["--pdeathsig", "KILL", "/usr/lib/cni/dhcp", "daemon", "-socketpath", socket];
  const child: ChildProcess = spawn("setpriv", program, { stdio: ["ignore", "ignore", "pipe"] });
  let text = "";
  child.stderr?.on("data", (chunk: Buffer) => {
    text += chunk.toString();
  });
  t.teardown(() => child.kill("SIGKILL"));
  await until(() => existsSync(socket));
  return { log: () => text };
}

test("an address by DHCP comes across the VLAN, is checked, and is given back for the next", async (t) => {
  const h = await TestHost.start(t, { intent: OOB() });
  const wire = await WireSwitch.build(t, h, [100]);
  const gateway = await wire.station("gw", 100, "10.100.0.1/24");
  await dhcpServer(t, gateway, h.directory, RANGE);
  const socket = join(h.directory, "dhcp.sock");
  const daemon = await dhcpDaemon(t, socket);
  const conf = { vlan: 100, ipam: { type: "dhcp", daemonSocketPath: socket } };

  for (const name of ["one", "two"]) {
    const pod = await h.add(name, conf);
    t.deepEqual(
      pod.result.ips?.map(({ address, gateway: router }) => ({ address, gateway: router })),
      [{ address: "10.100.0.50/24", gateway: "10.100.0.1" }],
      daemon.log(),
    );
    const { stdout } = await run("nsenter", [`--net=${pod.host.path}`, "ip", "-json", "route", "show", "default"]);
    t.like(JSON.parse(stdout)[0], { gateway: "10.100.0.1", dev: "eth0" });
    t.true(await pings(pod.host, "10.100.0.1", 5));
    const prevResult = pod.result;
    await runCni(h.runtime, {
      ...pod.call,
      command: "CHECK",
      netconf: { ...pod.call.netconf, cniVersion: "1.0.0", prevResult },
    });
    await h.del(pod);
    t.is(await pod.host.namespace.link({ name: "eth0" }), null);
  }
});

test("no server: the ADD fails by IPAM's word, and nothing is left", async (t) => {
  const h = await TestHost.start(t, { intent: OOB() });
  const socket = join(h.directory, "dhcp.sock");
  const conf = { vlan: 100, ipam: { type: "dhcp", daemonSocketPath: socket } };
  const pod = await h.lab.host("pod");
  await t.throwsAsync(h.add("pod", conf, { pod }), { message: /dhcp\.sock/ });
  t.is(await pod.namespace.link({ name: "eth0" }), null);
  t.deepEqual(
    (await h.ports()).filter(({ role }) => role === "workload"),
    [],
  );
});
