// Intent under systemd: reloaded, refused, changed by the command, and put into force at a boot without its files.
import { setTimeout as sleep } from "node:timers/promises";
import { Machine, missingForMachine, NETWORK, UNITS } from "../support/systemd-machine.ts";
import { needs } from "../support/needs.ts";
import { until } from "../support/until.ts";

const onMachine = needs(missingForMachine() === "", missingForMachine(), "serial");

const BROKEN = NETWORK.replace("vlan: 100", "vlan: 4095");
const PLACE = /host\.yaml:16:\d+: spec\.vlan must be/;
const FILE = "/etc/portwright/host.yaml";

onMachine(
  "reload brings files into force; files with a mistake are refused by place, and the service goes on",
  async (t) => {
    const m = await Machine.boot(t);
    await m.enable();
    const { MainPID } = await m.state();
    const bad = async () => (await m.journal()).filter(({ PRIORITY }) => PRIORITY !== "6");
    await m.write(FILE, NETWORK);
    await m.systemctl("reload", "portwrightd");
    await until(async () => (await m.networks()).includes("vlan100"));
    await m.write(FILE, BROKEN);
    await m.systemctl("reload", "portwrightd");
    // By kill(1) alone systemd learns of the reload a moment later.
    await until(async () => (await bad()).length === 2 && (await m.state()).SubState === "running");
    t.like(await m.state(), { ActiveState: "active", SubState: "running", MainPID, NRestarts: "0" });
    const { ended, stdout } = await m.run("portwright", ["status"]);
    t.is(ended, 1, "not ready");
    t.regex(stdout, PLACE);
    t.deepEqual(await m.networks(), ["vlan100"], "what was good is in force");
    const said = await bad();
    t.deepEqual(
      said.map(({ PRIORITY }) => PRIORITY),
      ["4", "3"],
      "a warning for the condition, an error for the refusal",
    );
    for (const { MESSAGE } of said) t.notRegex(MESSAGE, /"stack"|\n/);
    await m.write(FILE, NETWORK);
    await m.systemctl("reload", "portwrightd");
    await until(async () => (await m.run("portwright", ["status"])).ended === 0);
  },
);

onMachine(
  "the first start with a mistake in its files fails by place, once; with the mistake gone it starts",
  async (t) => {
    const m = await Machine.boot(t);
    await m.write(FILE, BROKEN);
    t.is((await m.run("systemctl", ["enable", "--now", ...UNITS])).ended, 1);
    const failed = { ActiveState: "failed", Result: "exit-code", ExecMainStatus: "78", NRestarts: "0" };
    const starts = async () => {
      await sleep(2500); // longer than RestartSec= and a start
      t.like(await m.state(), failed);
      const entries = await m.journal();
      for (const { MESSAGE, PRIORITY } of entries) {
        t.regex(MESSAGE, PLACE);
        t.is(PRIORITY, "3");
      }
      return entries.length;
    };
    t.is(await starts(), 1);
    // A call starts it, and is not left in the queue to start it for ever.
    t.is((await m.run("portwright", ["status"])).ended, 1);
    t.is(await starts(), 2);
    await m.write(FILE, NETWORK);
    t.deepEqual(await m.networks(), ["vlan100"], "the next call starts it");
  },
);

onMachine("the installed command plans, applies, confirms and rolls back by the admin socket", async (t) => {
  const m = await Machine.boot(t);
  await m.enable();
  await m.write("/root/next.yaml", NETWORK);
  await m.write("/root/mtu.yaml", NETWORK.replace("mtu: 1500", "mtu: 1400"));
  const mtu = async () =>
    (JSON.parse(await m.output("ip", ["-json", "link", "show", "vm-br"])) as { mtu: number }[])[0]?.mtu;
  t.is((await m.run("portwright", ["plan", "/root/mtu.yaml"])).ended, 2, "there is something to do");
  t.is(await mtu(), 1500);
  await m.output("portwright", ["apply", "/root/next.yaml"]);
  t.deepEqual(await m.networks(), ["vlan100"]);
  await m.output("portwright", ["apply", "--confirm", "60s", "/root/mtu.yaml"]);
  t.is(await mtu(), 1400);
  await m.output("portwright", ["rollback"]);
  t.is(await mtu(), 1500);
  t.deepEqual(await m.networks(), ["vlan100"]);
});

onMachine("a boot with unreadable files brings the last good intent into force, and workloads back in", async (t) => {
  const m = await Machine.boot(t);
  await m.enable(NETWORK);
  await m.add("a");
  await m.output("chmod", ["0", FILE]); // for whoever has no CAP_DAC_OVERRIDE
  await m.reboot();
  t.like(await m.state(), { ActiveState: "active", SubState: "running", NRestarts: "0" });
  const { ended, stdout } = await m.run("portwright", ["status"]);
  t.is(ended, 1);
  t.regex(stdout, /the last good intent is: .*host\.yaml may not be read \[INTENT_FILE\]/);
  t.deepEqual(await m.networks(), ["vlan100"]);
  const [bridge] = JSON.parse(await m.output("ip", ["-json", "link", "show", "vm-br"])) as { ifalias: string }[];
  t.regex(bridge?.ifalias ?? "", /^portwright bridge vm /);
  await m.add("a");
  const b = await m.add("b");
  t.deepEqual(await m.pings("a", b, 5), { sent: 5, received: 5 });
});
