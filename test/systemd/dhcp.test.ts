// DHCP for the host's own interface, inside the service's sandbox: what the drop-in is for, and what is said without it.
import { mkdtemp, rm } from "node:fs/promises";
import type { ExecutionContext } from "ava";
import { Lab } from "../../daemon/demo/lab.ts";
import { nativeKernel } from "../../daemon/kernel/native.ts";
import type { HostNetworkStatus } from "../../daemon/model/status.ts";
import { dhcpServer, HOST_NETWORK, pings, type Wire, WireSwitch } from "../support/host-network.ts";
import { needs } from "../support/needs.ts";
import { INTENT, Machine, missingForMachine, UNITS } from "../support/systemd-machine.ts";
import { until } from "../support/until.ts";

const onMachine = needs(missingForMachine() === "", missingForMachine(), "serial");

const DHCP = `${INTENT}---${HOST_NETWORK("storage", 100, "mode: dhcp", "vm")}`;
/** as README says it */
const INSTALL = "-D -m 644 -t /etc/systemd/system/portwrightd.service.d /usr/lib/portwright/systemd/dhcp.conf".split(
  " ",
);

/** The machine's wire, as the tests' own namespaces are. */
async function wireOf(t: ExecutionContext, m: Machine): Promise<Wire> {
  const kernel = nativeKernel();
  const directory = await mkdtemp("/run/pw-test-");
  const lab = new Lab(kernel, `pwsd${process.pid}`);
  const path = m.netns("wire");
  const handle = kernel.openNetns(path);
  const namespace = await kernel.enter(handle);
  t.teardown(async () => {
    await namespace.close();
    handle.close();
    await lab.dispose();
    await rm(directory, { recursive: true, force: true });
  });
  return { lab, directory, wire: { name: "wire", path, handle, namespace } };
}

async function storage(m: Machine): Promise<HostNetworkStatus> {
  const [found] = (await m.status()).hostNetworks;
  if (!found) throw new Error("no host network");
  return found;
}

const clientOf = async (m: Machine) => (await m.run("pgrep", ["--full", "udhcpc -f -i vm-br.100"])).stdout.trim();
const addressOf = async (m: Machine) =>
  (await storage(m)).addresses.map(({ address }) => address).find((one) => !one.startsWith("fe80")) ?? "";

onMachine(
  "a host network that wants DHCP has its lease in the sandbox with the drop-in, and names it without",
  async (t) => {
    const m = await Machine.boot(t);
    const wire = await wireOf(t, m);
    const gateway = await (await WireSwitch.build(t, wire, [100])).station("gw", 100, "10.100.0.1/24");
    await dhcpServer(t, gateway, wire.directory, { first: "10.100.0.50", last: "10.100.0.60", lease: 20 });
    await m.enable(DHCP);
    const failed = async () => (await m.status()).conditions.filter(({ code }) => code === "DHCP_CLIENT_FAILED");
    await until(async () => (await failed()).length === 1);
    const [condition] = await failed();
    t.is(condition?.object, "HostNetworkConfig/storage");
    t.regex(condition?.message ?? "", /not supported.*needs the drop-in \/usr\/lib\/portwright\/systemd\/dhcp\.conf$/);
    t.is(await clientOf(m), "");

    await m.output("install", INSTALL);
    await m.systemctl("daemon-reload");
    await m.systemctl("restart", "portwrightd");
    await until(async () => (await storage(m)).ready);
    t.deepEqual((await m.status()).conditions, []);
    const address = await addressOf(m);
    t.regex(address, /^10\.100\.0\.(5\d|60)\/24$/);
    t.is((await storage(m)).lease?.server, "10.100.0.1");
    t.true(await pings(gateway, address.split("/")[0] ?? ""));
    const { MainPID } = await m.state();
    const status = await m.output("cat", [`/proc/${MainPID}/status`]);
    t.regex(status, /^Seccomp:\t2$/m);
    // those of the plain unit, and CAP_NET_BIND_SERVICE (10): linux/capability.h
    t.regex(status, /^CapBnd:\t0000000000203400$/m);
    const security = await m.run("systemd-analyze", ["security", "--threshold=24", "portwrightd.service"]);
    t.is(security.ended, 0, security.stdout.trim().split("\n").at(-1) ?? "");

    const client = await clientOf(m);
    const obtainedAt = (await storage(m)).lease?.obtainedAt;
    await until(async () => (await storage(m)).lease?.obtainedAt !== obtainedAt);
    t.is(await clientOf(m), client, "renewed by the same client");
    t.is(await addressOf(m), address);

    await m.systemctl("restart", "portwrightd");
    t.is(await addressOf(m), address, "at once");
    t.true(await pings(gateway, address.split("/")[0] ?? ""));
    await until(async () => !["", client].includes(await clientOf(m)));
    t.true((await storage(m)).ready);
    await m.systemctl("stop", ...UNITS);
    t.is(await clientOf(m), "", "it ends with the service");
  },
);
