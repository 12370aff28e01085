// What becomes of traffic and callers when the service is killed, hangs, is restarted or stopped.
import { setTimeout as sleep } from "node:timers/promises";
import type { ExecutionContext } from "ava";
import { Machine, missingForMachine, NETWORK, UNITS } from "../support/systemd-machine.ts";
import { needs } from "../support/needs.ts";
import { until } from "../support/until.ts";

const onMachine = needs(missingForMachine() === "", missingForMachine(), "serial");

async function withTwo(t: ExecutionContext, prepare?: (m: Machine) => Promise<void>) {
  const m = await Machine.boot(t);
  await prepare?.(m);
  await m.enable(NETWORK);
  await m.add("a");
  const address = await m.add("b");
  return { m, pings: (count: number) => m.pings("a", address, count) };
}

const isActive = async (m: Machine) => (await m.state()).ActiveState === "active";

onMachine("killed, it is back by itself: no ping is lost, and a call made meanwhile is answered", async (t) => {
  const { m, pings } = await withTwo(t);
  const before = await m.state();
  const measured = pings(400);
  await sleep(300);
  await m.systemctl("kill", "--signal=KILL", "portwrightd");
  await until(async () => (await m.state()).SubState === "auto-restart");
  await m.output("ip", ["netns", "add", "c"]);
  // curl knocks once: that the plugin tries again does not help it.
  const body = { network: "vlan100", netns: "/run/netns/c", containerId: "c", interface: "eth0" };
  const [status, address] = await Promise.all([
    attach(m, { ...body, addresses: ["10.100.0.99/24"] }),
    m.add("d"),
    m.output("portwright", ["status"]),
  ]);
  t.is(status, "201");
  t.regex(address, /^10\.100\.0\.\d+$/);
  t.deepEqual(await measured, { sent: 400, received: 400 });
  t.deepEqual(await m.pings("c", address, 5), { sent: 5, received: 5 });
  const after = await m.state();
  t.like(after, { ActiveState: "active", NRestarts: "1" });
  t.not(after.MainPID, before.MainPID);
});

async function attach(m: Machine, body: object): Promise<string> {
  const say = ["-s", "-o", "/dev/null", "-w", "%{http_code}", "-H", "content-type: application/json"];
  const where = ["--unix-socket", "/run/portwright/cni.sock", "http://localhost/v1/attachments"];
  return await m.output("curl", [...say, "-d", JSON.stringify(body), ...where]);
}

onMachine("restarted in the middle of ADDs and DELs, it fails none", async (t) => {
  const { m, pings } = await withTwo(t);
  let restarting = true;
  const stream = async (name: string): Promise<number> => {
    let count = 0;
    for (; restarting; count++) {
      await m.add(`${name}${count}`);
      await m.del(`${name}${count}`);
    }
    return count;
  };
  const streams = Promise.all(["x", "y", "z"].map(stream));
  const measured = pings(300);
  for (let i = 0; i < 3; i++) {
    await sleep(100);
    await m.systemctl("restart", "portwrightd");
  }
  restarting = false;
  const counts = await streams;
  t.true(counts.every((count) => count > 0));
  t.deepEqual(await measured, { sent: 300, received: 300 });
  t.like(await m.state(), { ActiveState: "active", Result: "success", NRestarts: "0" });
});

onMachine("a daemon that hangs is killed by the watchdog and started again; the switch goes on", async (t) => {
  const { m, pings } = await withTwo(t, async (machine) => {
    const dropIn = "/etc/systemd/system/portwrightd.service.d";
    await machine.output("mkdir", [dropIn]);
    await machine.write(`${dropIn}/watchdog.conf`, "[Service]\nWatchdogSec=2\n");
    await machine.systemctl("daemon-reload");
  });
  const before = await m.state();
  await sleep(2500); // longer than the watchdog waits: it has been fed
  t.like(await m.state(), { ActiveState: "active", MainPID: before.MainPID });
  const measured = pings(500);
  await m.systemctl("kill", "--signal=STOP", "--kill-who=main", "portwrightd");
  await until(async () => (await m.state()).NRestarts === "1" && (await isActive(m)));
  t.deepEqual(await measured, { sent: 500, received: 500 });
  t.not((await m.state()).MainPID, before.MainPID);
  const said = await m.output("journalctl", ["--unit=portwrightd", "--output=cat", "_PID=1"]);
  t.regex(said, /Watchdog timeout/);
});

onMachine("stopped and disabled, it leaves the switch at work; enabled again, it goes on with it", async (t) => {
  const { m, pings } = await withTwo(t);
  const measured = pings(300);
  await m.systemctl("stop", ...UNITS);
  t.like(await m.state(), { ActiveState: "inactive", Result: "success" });
  await m.systemctl("disable", ...UNITS);
  t.deepEqual(await measured, { sent: 300, received: 300 });
  t.deepEqual(await pings(20), { sent: 20, received: 20 });
  const again = pings(300);
  await m.systemctl("enable", "--now", ...UNITS);
  t.deepEqual(await again, { sent: 300, received: 300 });
  await m.del("b");
  const entries = await m.journal();
  t.deepEqual(
    entries.filter(({ MESSAGE }) => /"stack"|\n\s+at /.test(MESSAGE)),
    [],
  );
});
