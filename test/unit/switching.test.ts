// Which datapath a cluster network is on: what its bridge is like, what moves when it changes, and who is asked.
import test from "ava";
import type { Datapath } from "../../daemon/datapath/datapath.ts";
import { Datapaths } from "../../daemon/datapath/datapaths.ts";
import { linkChange, linkCreate } from "../../daemon/links/link.ts";
import { compile } from "../../daemon/model/compile.ts";
import { describePlan } from "../../daemon/model/describe.ts";
import { diff } from "../../daemon/model/diff.ts";
import type { Switching } from "../../daemon/model/switching.ts";
import type { Observed, ObservedPort } from "../../daemon/model/target.ts";
import { parseSettings, UsageError } from "../../daemon/settings.ts";
import { attachment, EBPF, input, intent, observedPort, vlanConfig, workloadLink } from "../peers/model-fixtures.ts";
import { link, simulate } from "../peers/simulate.ts";

const BRIDGE: Switching = { ...EBPF, datapath: "bridge", vlanFiltering: true };
const a = attachment("a", "oob", { mode: "access", vlan: 100 }, { fdbLimit: 5 });
const machine: Observed = { links: [link({ ifindex: 1, name: "nic0" }), workloadLink(3, a)], ports: [], addresses: [] };
const wanted = (switching: Switching, observed: Observed = machine) =>
  compile(
    input({
      intent: intent(["oob"], [vlanConfig("oob", ["nic0"])]),
      attachments: [a],
      switching,
      links: observed.links,
      ports: observed.ports,
    }),
  );

test("all ports of a switch are on its datapath", (t) => {
  for (const switching of [EBPF, BRIDGE]) {
    const { target, contexts } = wanted(switching);
    t.is(contexts.get("oob")?.datapath, switching.datapath);
    t.true(target.ports.size >= 2);
    t.true([...target.ports.values()].every(({ config }) => config.datapath === switching.datapath));
  }
});

test("a limit of addresses that the kernel's bridge cannot keep is said, and not asked of it", (t) => {
  const { target } = wanted(BRIDGE);
  t.is(target.ports.get(a.hostInterface)?.config.fdbLimit, 0);
  t.like(target.conditions, [{ code: "PORT_UNSUPPORTED", object: "Attachment/a" }]);
  t.deepEqual(wanted(EBPF).target.conditions, []);
});

test("a closed port is in its VLANs, closed, in BPF, and in none in the kernel's bridge; the uplink carries them", (t) => {
  const closed = attachment("a", "oob", { mode: "access", vlan: 100 }, { gated: true, spoofCheck: true });
  const oob = intent(["oob"], [vlanConfig("oob", ["nic0"])]);
  const of = (switching: Switching, one: typeof closed) =>
    compile(input({ intent: oob, attachments: [one], switching, links: machine.links })).target.ports;
  const open = { ...closed, gated: false };
  for (const [switching, one, vlans, isOpen, source] of [
    [EBPF, closed, "100", false, closed.mac],
    [BRIDGE, closed, "", false, ""],
    [EBPF, open, "100", true, closed.mac],
    [BRIDGE, open, "100", true, closed.mac],
  ] as const) {
    const config = of(switching, one).get(closed.hostInterface)?.config;
    t.is(`${config?.allowed}`, vlans);
    t.like(config, { pvid: vlans === "" ? 0 : 100, open: isOpen, sourceMac: source });
    t.is(`${of(switching, one).get("nic0")?.config.allowed}`, "100");
  }
});

test("a switch that changes its datapath has its ports removed and added, and then nothing is left to do", (t) => {
  const before = simulate(diff(wanted(EBPF).target, machine), machine);
  const { target } = wanted(BRIDGE, before);
  const plan = diff(target, before);
  t.deepEqual(
    plan.steps.filter(({ op }) => op === "remove-port" || op === "set-port").map(({ op, impact }) => [op, impact]),
    [
      ["remove-port", "outage"],
      ["remove-port", "outage"],
      ["set-port", "none"],
      ["set-port", "none"],
    ],
  );
  t.regex(describePlan(plan), /add port pwa: kernel bridge, switch 0, PVID 100/);
  const after = simulate(plan, before);
  t.is(describePlan(diff(wanted(BRIDGE, after).target, after)), "nothing to do");
});

test("the bridge filters from birth where the kernel can, on either datapath, and is brought to it in place", (t) => {
  const of = (switching: Switching) => {
    const found = wanted(switching).target.links.get("oob-br");
    if (found === undefined) throw new Error("no bridge");
    return found;
  };
  const filtering = of({ ...EBPF, vlanFiltering: true });
  const birth = { vlanFiltering: true, vlanDefaultPvid: 0, vlanStatsEnabled: true, vlanStatsPerPort: true };
  t.like(linkCreate(filtering).data, birth);
  t.is(linkCreate(of(EBPF)).data?.["vlanFiltering"], undefined);
  const { mac, alias, data } = filtering;
  t.is(mac, of(BRIDGE).mac);
  t.not(mac, of({ ...BRIDGE, hostKey: "another host" }).mac);
  t.is(Number.parseInt(mac.slice(0, 2), 16) & 3, 2, "unicast, locally administered");
  const right = link({ ifindex: 2, name: "oob-br", kind: "bridge", alias, mac, up: true, data });
  t.is(linkChange(filtering, right), null);
  const former = { ...right, data: { ...data, vlanFiltering: false, vlanDefaultPvid: 1, vlanStatsPerPort: false } };
  t.deepEqual(linkChange(filtering, former)?.after, { data: { vlanFiltering: true, vlanDefaultPvid: 0 } });
});

test("a port is set where its configuration says, and removed where it is asked for or everywhere", async (t) => {
  const calls: string[] = [];
  const fake = (name: string): Datapath =>
    ({
      rung: { name: "bridge", reason: name },
      setPort: async (ifindex: number) => void calls.push(`${name} set ${ifindex}`),
      removePort: async (ifindex: number) => void calls.push(`${name} remove ${ifindex}`),
      forgetPort: async (ifindex: number) => void calls.push(`${name} forget ${ifindex}`),
      observe: async () => [observedPort(calls.length, config)],
    }) as unknown as Datapath;
  const config = wanted(BRIDGE).target.ports.get(a.hostInterface)?.config as ObservedPort["config"];
  const [ebpf, bridge] = [fake("ebpf"), fake("bridge")];
  const both = new Datapaths(ebpf, { ebpf, bridge });
  t.is(both.rung.reason, "ebpf");
  await both.setPort(7, config);
  await both.removePort(8, "ebpf");
  await both.removePort(9);
  t.deepEqual(calls.splice(0), ["bridge set 7", "ebpf remove 8", "ebpf remove 9", "bridge remove 9"]);
  await both.forgetPort(10);
  t.deepEqual(calls, ["ebpf forget 10", "bridge forget 10"]);
  t.is((await both.observe(Promise.resolve([]))).length, 2);
  await t.throwsAsync(new Datapaths(bridge, { bridge }).setPort(7, { ...config, datapath: "ebpf" }), {
    message: /no ebpf datapath/,
  });
});

test("the datapath is a setting, ebpf unless told", (t) => {
  const of = (...args: string[]) => parseSettings(args) as { datapath: string };
  t.is(of().datapath, "ebpf");
  t.is(of("--datapath", "bridge").datapath, "bridge");
  t.throws(() => of("--datapath", "ovs"), { instanceOf: UsageError, message: /use ebpf or bridge/ });
});
