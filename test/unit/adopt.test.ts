// What was there before us and is taken over: no plan deletes it, empties it or takes from it what others put there.
import test from "ava";
import fc from "fast-check";
import type { BridgeVlan, Link } from "../../daemon/kernel/kernel.ts";
import type { Attachment } from "../../daemon/model/attachment.ts";
import { bondBirth } from "../../daemon/links/bond.ts";
import { compile } from "../../daemon/model/compile.ts";
import { vitalNetworks } from "../../daemon/model/confirmation.ts";
import { describe } from "../../daemon/model/describe.ts";
import { diff } from "../../daemon/model/diff.ts";
import type { Plan } from "../../daemon/model/plan.ts";
import type { Intent, VlanConfig } from "../../daemon/model/resources.ts";
import { observedSwitchIds } from "../../daemon/model/switch-ids.ts";
import { adoptedAlias, isAdopted, isOurs, type Observed, parseAdopted, parseAlias } from "../../daemon/model/target.ts";
import { VlanSet } from "../../daemon/model/vlan-set.ts";
import {
  address,
  attachment,
  bond,
  EBPF,
  input,
  intent,
  network,
  vlanConfig,
  workloadLink,
} from "../peers/model-fixtures.ts";
import { reported } from "../peers/simulate-bond.ts";
import { link, simulate } from "../peers/simulate.ts";

const BR = 10;
const BO = 11;
const bridge = link({
  ifindex: BR,
  name: "mgmt-br",
  kind: "bridge",
  up: true,
  data: { vlanFiltering: true, vlanDefaultPvid: 1 },
});
const bo = link({
  ifindex: BO,
  name: "mgmt-bo",
  kind: "bond",
  up: true,
  master: BR,
  data: reported({ ...bondBirth(1), miimon: 100, updelay: 200, primary: 0 }),
});
const nic = link({ ifindex: 12, name: "eth0", up: true, master: BO });
const sub = link({ ifindex: 13, name: "mgmt-br.100", kind: "vlan", link: BR, up: true, data: { id: 100 } });
const canal = link({ ifindex: 14, name: "cali1", kind: "veth", master: BR, link: 2, linkNetnsId: 1, up: true });
const NODE = [bridge, bo, nic, sub, canal];

const entry = (ifindex: number, vid: number, native = false): BridgeVlan => ({
  ifindex,
  vid,
  pvid: native,
  untagged: native,
});
const VLANS = [entry(BR, 1, true), entry(BO, 1, true), entry(BR, 100), entry(BO, 100), entry(14, 300), entry(BO, 55)];

function mgmt(more: object, configs: readonly VlanConfig[] = [], networks = [network("n", "mgmt", 0)]): Intent {
  const base = intent(["mgmt"], configs, networks);
  const place = { file: "", line: 0, column: 0 };
  return { ...base, clusterNetworks: new Map([["mgmt", { name: "mgmt", place, ...more }]]) };
}

interface World extends Observed {
  readonly vlans: readonly BridgeVlan[];
}
const world = (links: readonly Link[] = NODE, vlans = VLANS): World => ({
  ...{ links, vlans, ports: [], addresses: [address(13, "192.0.2.1"), address(BR, "198.51.100.1")] },
});

function compiled(wanted: Intent, { links, vlans, addresses, ports }: World, attachments: readonly Attachment[] = []) {
  const of = { intent: wanted, attachments, ...{ links, vlans, addresses, ports }, bonding: true };
  const switching = { ...EBPF, vlanFiltering: true };
  return compile(input({ ...of, switching, switchIds: observedSwitchIds({ links, ports, addresses }) }));
}
const planned = (wanted: Intent, of: World, attachments: readonly Attachment[] = []): Plan =>
  diff(compiled(wanted, of, attachments).target, of);
const lines = (plan: Plan): string[] => plan.steps.map(describe);
const after = (wanted: Intent, of: World): World => ({ ...simulate(planned(wanted, of), of), vlans: of.vlans });
const ADOPT = mgmt({ adopt: true });

test("a take-over sets aliases, keeps the MAC and touches nothing else; a release gives the aliases back", (t) => {
  const plan = planned(ADOPT, world([{ ...bridge, alias: "node" }, bo, nic, sub, canal]));
  t.deepEqual(
    plan.steps.filter(({ op }) => op !== "set-port").map((s) => (s.op === "change-link" ? [s.name, s.after] : s)),
    [
      ["mgmt-br", { alias: "portwright-adopted bridge mgmt switch 0 kept 1,55,100 was node", mac: bridge.mac }],
      ["mgmt-br.100", { alias: "portwright-adopted vlan mgmt" }],
    ],
  );
  const taken = after(ADOPT, world([{ ...bridge, alias: "node" }, bo, nic, sub, canal]));
  t.deepEqual(lines(planned(intent([]), taken)), [
    "change mgmt-br: alias portwright-adopted bridge mgmt switch 0 kept 1,55,100 was node -> node",
    "change mgmt-br.100: alias portwright-adopted vlan mgmt -> none",
  ]);
});

test("the uplink gets VLANs in demand beside those it had, and loses its own only", (t) => {
  const taken = after(ADOPT, world());
  const w = attachment("w", "mgmt", { mode: "access", vlan: 200 });
  const with200 = { ...taken, links: [...taken.links, workloadLink(50, w)] };
  const wanted = compiled(ADOPT, with200, [w]).target.ports.get("mgmt-bo")?.config;
  t.is(String(wanted?.allowed), "1,55,100,200");
  t.is(wanted?.pvid, 1);
  t.is(String(wanted?.untagged), "1");
  const later = { ...taken, vlans: [...VLANS, entry(BO, 200)] };
  t.is(String(compiled(ADOPT, later).target.ports.get("mgmt-bo")?.config.allowed), "1,55,100", "nobody wants 200 now");
  const shared = { ...later, vlans: [...later.vlans, entry(14, 200)] };
  t.is(String(compiled(ADOPT, shared).target.ports.get("mgmt-bo")?.config.allowed), "1,55,100,200", "a guest uses it");
});

test("a bridge that does not filter carries untagged networks only, and is not made to filter by surprise", (t) => {
  const plain = world([{ ...bridge, data: { vlanFiltering: false } }, bo, nic, sub, canal]);
  const two = [network("n", "mgmt", 0), network("v", "mgmt", 7)];
  const { target } = compiled(mgmt({ adopt: true }, [], two), plain);
  t.deepEqual(
    target.conditions.map(({ code, object }) => `${object} ${code}`),
    ["Network/v BRIDGE_UNFILTERED"],
  );
  t.false(target.ports.has("mgmt-bo"));
  t.deepEqual(target.links.get("mgmt-br")?.data, {});
  const stated = planned(mgmt({ adopt: true, vlanFiltering: true }, [], two), plain);
  t.like(
    stated.steps.find((s) => s.op === "change-link" && s.name === "mgmt-br"),
    { impact: "outage", after: { data: { vlanFiltering: true } } },
  );
});

test("a VlanConfig changes of an adopted bond what it states, and nothing else", (t) => {
  const config = (of: object): VlanConfig =>
    vlanConfig("mgmt", ["eth0"], { bond: { ...bond("active-backup", { miimon: 50 }), ...of } });
  const bondSteps = (vc: VlanConfig) =>
    planned(mgmt({ adopt: true }, [vc]), world()).steps.flatMap((s) =>
      s.op === "change-link" && s.name === "mgmt-bo" ? [s.after] : [],
    );
  t.deepEqual(bondSteps(config({ modeIsGiven: false })), [
    { alias: "portwright-adopted bond mgmt", data: { miimon: 50, updelay: 200, downdelay: 0, peerNotifDelay: 0 } },
  ]);
  t.deepEqual(bondSteps(config({ modeIsGiven: false, asked: [] })), [{ alias: "portwright-adopted bond mgmt" }]);
  const isSettled = after(mgmt({ adopt: true }, [config({})]), world());
  t.deepEqual(
    lines(planned(mgmt({ adopt: true }, [config({})]), isSettled)).filter((l) => !l.includes("port")),
    [],
  );
});

test("without adopt the name is taken; with it and without a bridge nothing is made", (t) => {
  const foreign = compiled(mgmt({}), world());
  t.deepEqual([foreign.target.conditions[0]?.code, foreign.target.links.size], ["NAME_TAKEN", 0]);
  const absent = compiled(ADOPT, world([nic]));
  t.deepEqual([absent.target.conditions[0]?.code, absent.target.links.size], ["ADOPT_ABSENT", 0]);
});

test("workloads keep their bridge when its cluster network leaves the intent", (t) => {
  const taken = after(ADOPT, world());
  const w = attachment("w", "mgmt", { mode: "untagged" });
  const steps = planned(intent([]), { ...taken, links: [...taken.links, workloadLink(50, w)] }, [w]).steps;
  t.false(steps.some((s) => s.op === "change-link" && s.name === "mgmt-br"));
});

const alias = fc.record({
  kind: fc.constantFrom("bridge", "bond", "vlan"),
  clusterNetwork: fc.constantFrom("mgmt", "a-b"),
  switchId: fc.integer({ min: 0, max: 15 }),
  kept: fc.uniqueArray(fc.integer({ min: 1, max: 4094 }), { maxLength: 8 }).map((vids) => VlanSet.from(vids)),
  was: fc.string({ maxLength: 40 }),
});

test("an alias of a link that was taken over says all that is needed to give it back, and is none of ours", (t) => {
  fc.assert(
    fc.property(alias, ({ kind, clusterNetwork, switchId, kept, was }) => {
      const ofBridge = kind === "bridge" ? { switchId, kept } : { switchId: null, kept: VlanSet.empty };
      const text = adoptedAlias({ kind, clusterNetwork, ...ofBridge, was });
      const said = parseAdopted(text);
      t.like(said, { kind, clusterNetwork, switchId: ofBridge.switchId, was });
      t.true(said?.kept.equals(ofBridge.kept));
      t.is(parseAlias(text)?.clusterNetwork, clusterNetwork);
      return isAdopted({ alias: text }) && !isOurs({ alias: text });
    }),
  );
});

const wish = fc.record({
  adopt: fc.boolean(),
  isDefined: fc.boolean(),
  filters: fc.boolean(),
  shallFilter: fc.boolean(),
  config: fc.option(
    fc.record({
      mtu: fc.constantFrom(0, 1400, 9000),
      mode: fc.constantFrom("active-backup", "802.3ad"),
      given: fc.boolean(),
    }),
  ),
  vlans: fc.uniqueArray(fc.constantFrom(0, 1, 100, 200, 300)),
  attached: fc.boolean(),
});
type Wish = typeof wish extends fc.Arbitrary<infer T> ? T : never;

function intentOf({ adopt, isDefined, shallFilter, config, vlans }: Wish): Intent {
  if (!isDefined) return intent([]);
  const options = config && { mtu: config.mtu, bond: { ...bond(config.mode), modeIsGiven: config.given } };
  const configs = options ? [vlanConfig("mgmt", ["eth0"], options)] : [];
  const networks = vlans.map((vlan) => network(`n${vlan}`, "mgmt", vlan, true));
  return mgmt({ ...(adopt && { adopt }), ...(adopt && shallFilter && { vlanFiltering: true }) }, configs, networks);
}

test("no plan deletes, empties or takes an address from a link that was there before us", (t) => {
  fc.assert(
    fc.property(wish, wish, wish, (first, second, third) => {
      const filtering = { ...bridge, data: { ...bridge.data, vlanFiltering: first.filters } };
      const w = attachment("w", "mgmt", { mode: "access", vlan: 200 });
      let state = world([filtering, bo, nic, sub, canal, ...(first.attached ? [workloadLink(50, w)] : [])]);
      const theirs = new Set(NODE.map(({ name }) => name));
      for (const of of [first, second, third]) {
        const { target } = compiled(intentOf(of), state, first.attached ? [w] : []);
        const plan = diff(target, state);
        for (const step of plan.steps) {
          if (step.op === "delete-link") t.false(theirs.has(step.name), describe(step));
          if (step.op === "remove-address") t.fail(describe(step));
          if (step.op === "remove-port") t.false(theirs.has(step.linkName), describe(step));
          // Another mode wants the bond without members for a moment; they come back in the same plan.
          if (step.op === "release")
            t.true(
              plan.steps.some((s) => s.op === "enslave" && s.name === step.name && s.bond === step.bond),
              describe(step),
            );
          if (step.op === "change-link" && theirs.has(step.name)) t.is(step.after.master, undefined);
          if (step.op === "change-link" && ["mgmt-br", "mgmt-br.100", "cali1"].includes(step.name))
            t.is(step.after.up, undefined);
        }
        if (plan.steps.some((s) => s.op === "change-link" && theirs.has(s.name)))
          t.deepEqual(vitalNetworks(plan, target, state), ["mgmt"], lines(plan).join("\n"));
        state = { ...simulate(plan, state), vlans: state.vlans };
        for (const { name } of NODE)
          t.true(
            state.links.some((l) => l.name === name),
            name,
          );
      }
    }),
    { numRuns: 300, includeErrorInReport: true },
  );
});
