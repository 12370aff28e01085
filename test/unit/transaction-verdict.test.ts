// Is the host no worse than before? And what only a note taken before can bring back.
import test from "ava";
import type { Link } from "../../daemon/kernel/kernel.ts";
import type { Plan, Step } from "../../daemon/model/plan.ts";
import { planView } from "../../daemon/model/plan-view.ts";
import type { ProbeReport } from "../../daemon/model/probe.ts";
import type { Intent } from "../../daemon/model/resources.ts";
import { restorations, savedLinks } from "../../daemon/model/saved-links.ts";
import type { Target } from "../../daemon/model/target.ts";
import { VlanSet } from "../../daemon/model/vlan-set.ts";
import { baseline, failed, probeFault, silent, unsettled, worsened } from "../../daemon/transaction/verdict.ts";

const intent = {
  clusterNetworks: new Map([["oob", {}]]),
  vlanConfigs: new Map(),
  networks: new Map([["web", {}]]),
} as unknown as Intent;
const report = (network: string, success: boolean): ProbeReport => ({
  ...{ network, probe: "arp", gateway: "10.0.0.1", success, reason: success ? null : "no-arp-reply", detail: "" },
  ...{ rtt: null, lastAttempt: null, lastSuccess: null, attempts: 1, failures: 0 },
});
const condition = (object: string) => ({ code: "NIC_ABSENT", object, message: "it is not there" });

test("what was sound and has a condition now is worse; what was faulty, or is new, is not", (t) => {
  const before = baseline(intent, [], []);
  t.like(worsened(before, [condition("ClusterNetwork/oob")]), { cause: "verify" });
  t.is(worsened(before, [condition("ClusterNetwork/new")]), null);
  t.is(worsened(baseline(intent, [condition("ClusterNetwork/oob")], []), [condition("ClusterNetwork/oob")]), null);
});

test("a probe that answered must answer again; one that did not, or whose network is gone, need not", (t) => {
  const before = baseline(intent, [], [report("web", true), report("db", false)]);
  t.deepEqual(silent(before, [report("web", true), report("db", false)]), []);
  t.deepEqual(silent(before, []), []);
  const [late] = silent(before, [report("web", false), report("db", false)]);
  t.is(late?.network, "web");
  t.like(probeFault([report("web", false)], 15), { cause: "probe" });
  t.is(probeFault([], 15), null);
});

const change = (name: string, before: object, after: object, impact: Step["impact"] = "none"): Step => ({
  ...{ op: "change-link", name, ifindex: name === "nic0" ? 2 : 3, before, after, impact },
});

test("steps that failed, or that are to be done once more, are a fault that names the first", (t) => {
  const step = change("nic0", { mtu: 1500 }, { mtu: 9000 });
  t.is(unsettled({ steps: [] }), null);
  t.regex(unsettled({ steps: [step] })?.reason ?? "", /1 step to be done again: change nic0: MTU 1500 -> 9000/);
  t.is(failed([]), null);
  t.regex(failed([{ step, error: new Error("EBUSY") }])?.reason ?? "", /change nic0: MTU 1500 -> 9000: EBUSY/);
});

const link = (name: string, ifindex: number, mtu: number, txQueueLength = 1000): Link =>
  ({
    name,
    ifindex,
    mtu,
    txQueueLength,
    flags: 0,
    alias: "",
    mac: "",
    up: true,
    data: { miimon: 50 },
  }) as unknown as Link;

test("overwritten settings of links that exist are noted, and what differs is put back in reverse", (t) => {
  const plan: Plan = {
    steps: [
      change("nic0", { mtu: 1500, txQueueLength: 1000, up: false, data: { miimon: 100 } }, { mtu: 9000 }),
      change("oob-br", { mtu: 1500 }, { mtu: 9000 }),
      { ...change("made", { mtu: 1500 }, { mtu: 9000 }), ifindex: 0 } as Step,
    ],
  };
  const saved = savedLinks(plan);
  t.deepEqual(JSON.parse(JSON.stringify(saved)), saved, "plain data");
  t.deepEqual(
    saved.map(({ name }) => name),
    ["nic0", "oob-br"],
  );
  t.false("up" in (saved[0]?.before ?? {}), "up follows from the intent alone");
  const back = restorations(saved, [link("nic0", 2, 9000, 777), link("oob-br", 3, 9000)]);
  t.deepEqual(
    back.map((step) => step.op === "change-link" && [step.ifindex, step.after]),
    [
      [3, { mtu: 1500 }],
      [2, { mtu: 1500, txQueueLength: 1000, data: { miimon: 100 } }],
    ],
  );
  t.deepEqual(restorations(saved, []), [], "a link that is gone");
});

const MAC = "02:00:00:00:00:01";
const bond = (over: Partial<Link>): Link => {
  return {
    ...link("mgmt-bo", 4, 1500),
    kind: "bond",
    mac: MAC,
    data: { mode: 1, miimon: 100 },
    master: 0,
    ...over,
  };
};
const slave = (name: string, ifindex: number, master: number): Link => ({
  ...link(name, ifindex, 1500),
  kind: "",
  up: master !== 0,
  master,
});
const taken: Plan = {
  steps: [
    change("mgmt-bo", { up: true }, { up: false }, "outage"),
    { op: "release", name: "eth0", ifindex: 2, bond: "mgmt-bo", up: false, needsSuccessor: false, impact: "outage" },
    { op: "release", name: "eth1", ifindex: 3, bond: "mgmt-bo", up: false, needsSuccessor: false, impact: "outage" },
    change("mgmt-bo", { data: { mode: 1, miimon: 100 } }, { data: { mode: 2, miimon: 100 } }, "outage"),
  ].map((step) => (step.op === "change-link" ? { ...step, ifindex: 4 } : step)) as Step[],
};
const brief = (steps: readonly Step[]): readonly string[] =>
  steps.map((step) => {
    if (step.op === "change-link") return `${step.name} ${JSON.stringify(step.after)}`;
    return step.op === "enslave" || step.op === "release" ? `${step.op} ${step.name}` : step.op;
  });

test("the mode of a bond goes back as it came: down, members out, and in again", (t) => {
  const links = [slave("eth0", 2, 4), slave("eth1", 3, 4), bond({ data: { mode: 2, miimon: 100 } })];
  t.deepEqual(brief(restorations(savedLinks(taken), links)), [
    'mgmt-bo {"up":false}',
    "release eth0",
    "release eth1",
    `mgmt-bo {"mac":"${MAC}","data":{"mode":1,"miimon":100}}`,
    "enslave eth0",
    "enslave eth1",
    'mgmt-bo {"up":true}',
  ]);
});

test("a bond that a crash left down and without members gets them back, whatever its mode was by then", (t) => {
  const links = [slave("eth0", 2, 0), slave("eth1", 3, 4), bond({ up: false })];
  t.deepEqual(brief(restorations(savedLinks(taken), links)), ['mgmt-bo {"up":true}', "enslave eth0"]);
  const empty = [slave("eth0", 2, 0), slave("eth1", 3, 0), bond({ up: false, data: { mode: 2, miimon: 100 } })];
  t.deepEqual(brief(restorations(savedLinks(taken), empty)), [
    'mgmt-bo {"data":{"mode":1,"miimon":100}}',
    'mgmt-bo {"up":true}',
    "enslave eth0",
    "enslave eth1",
  ]);
  const whole = [slave("eth0", 2, 4), slave("eth1", 3, 4), bond({})];
  t.deepEqual(restorations(savedLinks(taken), whole), []);
});

test("a NIC that died on its way into a bond, where it has to be down, comes up again", (t) => {
  const joins = (up: boolean, from: string): Plan => ({
    steps: [{ op: "enslave", name: "eth2", ifindex: 5, bond: "oob-bo", before: { up, bond: from }, impact: "none" }],
  });
  const down = { ...slave("eth2", 5, 0), up: false };
  t.deepEqual(brief(restorations(savedLinks(joins(true, "")), [down])), ['eth2 {"up":true}']);
  t.deepEqual(savedLinks(joins(false, "")), [], "it was down before");
  t.deepEqual(savedLinks(joins(true, "late-bo")), [], "the intent has a bond for it");
});

test("who notices a step: its own port, or all of a switch where a shared link is cut", (t) => {
  const config = { switchId: 0, pvid: 1, allowed: VlanSet.empty, untagged: VlanSet.empty } as never;
  const port = (ifindex: number) => ({ ifindex, portId: ifindex, config, attached: true });
  const observed = { links: [link("nic0", 2, 1500), link("pwpod", 4, 1500)], ports: [port(2), port(4)], addresses: [] };
  const owner = { linkName: "pwpod", owner: "pod/eth0" };
  const target = { links: new Map(), ports: new Map([["pwpod", owner]]), conditions: [] } as unknown as Target;
  const steps = [change("nic0", {}, { up: false }, "outage"), change("pwpod", {}, { mtu: 1400 }, "blip")];
  const told = planView({ steps: [...steps, change("nic0", {}, { mtu: 1 })] }, target, observed);
  t.deepEqual(
    told.steps.map(({ touches }) => touches),
    [["nic0", "pod/eth0"], ["pod/eth0"], []],
  );
  t.is(told.impact, "outage");
});
