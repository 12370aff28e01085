// Plans for bonds against a simulated kernel that refuses what the real one does: an option that wants the bond down or
// empty, a mode's foreign options, a delay that is no multiple of miimon, a bond that goes with members in it.
import test from "ava";
import fc from "fast-check";
import type { Link, LinkData } from "../../daemon/kernel/kernel.ts";
import { settableBondData } from "../../daemon/links/bond.ts";
import { observedSettings } from "../../daemon/links/settings.ts";
import { type BondMode, bondModes, bondOptions } from "../../daemon/model/bond-options.ts";
import { compile } from "../../daemon/model/compile.ts";
import { describePlan } from "../../daemon/model/describe.ts";
import { diff } from "../../daemon/model/diff.ts";
import { inverse } from "../../daemon/model/inverse.ts";
import type { Plan } from "../../daemon/model/plan.ts";
import type { Intent } from "../../daemon/model/resources.ts";
import { observedSwitchIds } from "../../daemon/model/switch-ids.ts";
import { isOurs, type Observed, type Target } from "../../daemon/model/target.ts";
import { bond, input, intent, vlanConfig } from "../peers/model-fixtures.ts";
import { link, perform, simulate } from "../peers/simulate.ts";

const NICS = ["nic0", "nic1", "nic2", "nic3"] as const;

/** As the checks of the intent let through: values in range, delays in multiples, one monitor. */
const options = (mode: BondMode): fc.Arbitrary<LinkData> => {
  const arp = (["balance-rr", "active-backup", "balance-xor", "broadcast"] as readonly BondMode[]).includes(mode);
  const values = Object.fromEntries(
    bondOptions
      .filter(
        (option) => option.modes.includes(mode) && option.monitor === undefined && !/miimon|arpInt/.test(option.name),
      )
      .map(({ attribute, values: v }) => {
        switch (v.kind) {
          case "choice":
            return [attribute, fc.nat(v.choices.length - 1)];
          case "switch":
            return [attribute, fc.boolean()];
          case "number":
            return [attribute, fc.constantFrom(v.min, v.default, Math.min(v.max, 200))];
          default:
            return [attribute, fc.constant(v.default)];
        }
      }),
  ) as Record<string, fc.Arbitrary<number | boolean | string>>;
  const mii = fc
    .tuple(fc.constantFrom(50, 100), fc.nat(3), fc.nat(3))
    .map(([miimon, up, down]): LinkData => ({ miimon, updelay: up * miimon, downdelay: down * miimon }));
  const byArp = fc
    .tuple(fc.constantFrom(500, 1000), fc.constantFrom("10.0.0.1", "10.0.0.1,10.0.0.2"), fc.nat(6))
    .map(([arpInterval, arpIpTarget, arpValidate]): LinkData => ({ arpInterval, arpIpTarget, arpValidate }));
  const chosen = fc.record(values, { requiredKeys: [] }) as fc.Arbitrary<LinkData>;
  return fc.tuple(chosen, arp ? fc.oneof(mii, byArp) : mii).map(([a, b]) => ({ ...a, ...b }));
};

const uplink = (nics: readonly string[]) =>
  fc.constantFrom(...bondModes).chain((mode) =>
    fc.record({
      mode: fc.constant(mode),
      given: options(mode),
      nics: fc.constant(nics),
      mtu: fc.constantFrom(0, 1400, 9000),
      primary: fc.constantFrom("", nics[0] ?? ""),
    }),
  );

/** One or two cluster networks that share the NICs out between them. */
const wish: fc.Arbitrary<Intent> = fc
  .tuple(fc.shuffledSubarray([...NICS, "absent"], { minLength: 1 }), fc.nat(4))
  .chain(([nics, cut]) => {
    const [a, b] = [nics.slice(0, cut + 1), nics.slice(cut + 1)];
    return fc.tuple(uplink(a), b.length > 0 ? uplink(b) : fc.constant(null));
  })
  .map((uplinks) => {
    const configs = uplinks.flatMap((u, i) => {
      if (u === null) return [];
      const withPrimary = ["active-backup", "balance-tlb", "balance-alb"].includes(u.mode);
      const options_ = bond(u.mode, u.given, withPrimary ? u.primary : "");
      return [vlanConfig(i === 0 ? "a" : "b", u.nics, { mtu: u.mtu, bond: options_ })];
    });
    return intent(
      configs.map(({ clusterNetwork }) => clusterNetwork),
      configs,
    );
  });

const machine: fc.Arbitrary<Observed> = fc
  .record({ up: fc.boolean(), mtus: fc.array(fc.constantFrom(1400, 1500), { minLength: 4, maxLength: 4 }) })
  .map(({ up, mtus }) => ({
    links: NICS.map((name, i) =>
      link({ ifindex: i + 1, name, up, mtu: mtus[i] ?? 1500, mac: `02:00:00:00:00:0${i + 1}` }),
    ),
    ports: [],
    addresses: [],
  }));

function targetOf(of: Intent, observed: Observed): Target {
  const { links, ports } = observed;
  return compile(input({ intent: of, links, ports, bonding: true, switchIds: observedSwitchIds(observed) })).target;
}
function planOf(of: Intent, observed: Observed): Plan {
  return diff(targetOf(of, observed), observed);
}
function reached(of: Intent, observed: Observed): Observed {
  return simulate(planOf(of, observed), observed);
}
function find(observed: Observed, name: string): Link | undefined {
  return observed.links.find((l) => l.name === name);
}
function membersOf(observed: Observed, bondName: string): readonly string[] {
  const index = find(observed, bondName)?.ifindex ?? -1;
  return observed.links.filter((l) => l.master === index).map(({ name }) => name);
}

function shape(observed: Observed): unknown {
  const byIndex = new Map(observed.links.map((l) => [l.ifindex, l.name]));
  return observed.links
    .map((l) => {
      const { mac, data, ...settings } = observedSettings(l);
      const master = byIndex.get(l.master) ?? "";
      // An option that the mode has no use for keeps what another mode gave it.
      const own = l.kind === "bond" ? settableBondData(data) : data;
      return { name: l.name, kind: l.kind, master, ...settings, data: { ...own }, mac: isOurs(l) || master ? "" : mac };
    })
    .sort((x, y) => x.name.localeCompare(y.name));
}

const runs = { numRuns: 300 };

test("a plan for bonds carried out leaves nothing to do, whatever it starts from", (t) => {
  fc.assert(
    fc.property(machine, wish, wish, (start, first, second) => {
      let state = start;
      for (const of of [first, second, first]) {
        state = reached(of, state);
        t.is(describePlan(planOf(of, state)), "nothing to do");
        for (const { clusterNetwork, uplink: u } of of.vlanConfigs.values()) {
          const wanted = u.nics.filter((nic) => nic !== "absent").toSorted();
          t.deepEqual([...membersOf(state, `${clusterNetwork}-bo`)].toSorted(), wanted);
        }
      }
    }),
    runs,
  );
});

test("a plan for bonds and its inverse lead back to the start", (t) => {
  fc.assert(
    fc.property(machine, wish, wish, (start, first, second) => {
      const before = reached(first, start);
      const plan = planOf(second, before);
      const told = describePlan(plan);
      t.deepEqual(shape(simulate(inverse(plan), simulate(plan, before))), shape(before), told);
    }),
    runs,
  );
});

test("a bond keeps its index, MAC and port through every change, its mode's too", (t) => {
  fc.assert(
    fc.property(machine, wish, wish, (start, first, second) => {
      const before = reached(first, start);
      const after = reached(second, before);
      for (const name of ["a-bo", "b-bo"]) {
        const [was, is] = [find(before, name), find(after, name)];
        if (was === undefined || is === undefined) continue;
        t.is(is.ifindex, was.ifindex);
        t.true(before.ports.some(({ ifindex }) => ifindex === was.ifindex));
        t.true(after.ports.some(({ ifindex }) => ifindex === is.ifindex));
        // A bond that passes its last NIC on to another cluster network has nobody's address to keep.
        const kept = membersOf(before, name).some((nic) => membersOf(after, name).includes(nic));
        if (kept) t.is(is.mac, was.mac);
      }
    }),
    runs,
  );
});

test("at no moment is a bond without a member that had one and shall have one, unless the plan says outage", (t) => {
  fc.assert(
    fc.property(machine, wish, wish, (start, first, second) => {
      let state = reached(first, start);
      for (const step of planOf(second, state).steps) {
        const before = state;
        state = perform(step, state);
        for (const name of ["a-bo", "b-bo"]) {
          const lost = membersOf(before, name).length > 0 && membersOf(state, name).length === 0;
          if (lost) t.is(step.impact, "outage", describePlan({ steps: [step] }));
        }
      }
    }),
    runs,
  );
});

test("a NIC that replaces another comes in first, and the other leaves only when it carries", (t) => {
  const bed = { links: NICS.map((name, i) => link({ ifindex: i + 1, name, up: true })), ports: [], addresses: [] };
  const of = (nics: readonly string[]): Intent => intent(["a"], [vlanConfig("a", nics)]);
  const plan = planOf(of(["nic1"]), reached(of(["nic0"]), bed));
  t.deepEqual(describePlan(plan).split("\n"), [
    "take nic1 into a-bo",
    "release nic0 from a-bo as soon as another member carries [blip]",
  ]);
});

test("an option that the kernel changes in place is one message; one that wants the bond down says outage", (t) => {
  const bed = { links: NICS.map((name, i) => link({ ifindex: i + 1, name, up: true })), ports: [], addresses: [] };
  const of = (given: LinkData): Intent => intent(["a"], [vlanConfig("a", ["nic0"], { bond: bond("802.3ad", given) })]);
  const state = reached(of({}), bed);
  t.is(
    describePlan(planOf(of({ xmitHashPolicy: 1, minLinks: 1 }), state)),
    "change a-bo: xmitHashPolicy layer2 -> layer3+4, minLinks 0 -> 1",
  );
  t.deepEqual(describePlan(planOf(of({ lacpRate: 1 }), state)).split("\n"), [
    "change a-bo: up on -> off [outage]",
    "change a-bo: lacpRate slow -> fast [outage]",
    "change a-bo: up off -> on",
  ]);
  const delayed = reached(of({ updelay: 200, downdelay: 100 }), bed);
  t.is(
    describePlan(planOf(of({ miimon: 50, updelay: 200, downdelay: 100 }), delayed)),
    "change a-bo: miimon 100 ms -> 50 ms",
    "the delays go along, in the same message",
  );
});

test("another mode: down, NICs out, options, NICs in, up; and nothing else is touched", (t) => {
  const bed = { links: NICS.map((name, i) => link({ ifindex: i + 1, name, up: true })), ports: [], addresses: [] };
  const of = (mode: BondMode): Intent => intent(["a"], [vlanConfig("a", ["nic0", "nic1"], { bond: bond(mode) })]);
  const { steps } = planOf(of("802.3ad"), reached(of("active-backup"), bed));
  t.deepEqual(
    steps.map(({ op }) => op),
    ["change-link", "release", "release", "change-link", "enslave", "enslave", "change-link"],
  );
  t.true(steps.slice(0, -1).every(({ impact }) => impact === "outage"));
});

test("a bond works with the NICs that are there, and one that comes late joins it", (t) => {
  const of = intent(["a"], [vlanConfig("a", ["mac:02:00:00:00:00:07", "pci:0000:01:00.0", "en9"])]);
  const nic = (name: string, fields: Partial<Link>): Link =>
    link({ ifindex: Number(name.slice(3)) + 1, name, ...fields });
  const bed: Observed = { links: [nic("eth0", { permanentMac: "02:00:00:00:00:07" })], ports: [], addresses: [] };
  const first = reached(of, bed);
  t.deepEqual(membersOf(first, "a-bo"), ["eth0"]);
  t.deepEqual(
    targetOf(of, first).conditions.map(({ code, object }) => `${object} ${code}`),
    ["VlanConfig/a-uplink NIC_ABSENT", "VlanConfig/a-uplink NIC_ABSENT"],
  );
  const more = [nic("eth7", { pciPath: "0000:01:00.0" }), nic("eth8", { altNames: ["en9"], mac: "02:00:00:00:00:08" })];
  const later = { ...first, links: [...first.links, ...more] };
  t.deepEqual(describePlan(planOf(of, later)).split("\n"), ["take eth7 into a-bo", "take eth8 into a-bo"]);
  const last = reached(of, later);
  t.is(describePlan(planOf(of, last)), "nothing to do", "names of members are found although the MAC is the bond's");
  const none = reached(of, { links: [], ports: [], addresses: [] });
  t.truthy(find(none, "a-bo"), "the bond and its port wait for the first NIC");
});

test("a NIC that another bond shall have moves; what somebody put into a bond of ours leaves it", (t) => {
  const bed = { links: NICS.map((name, i) => link({ ifindex: i + 1, name, up: true })), ports: [], addresses: [] };
  const of = (a: string[], b: string[]): Intent => intent(["a", "b"], [vlanConfig("a", a), vlanConfig("b", b)]);
  const state = reached(of(["nic0"], ["nic1"]), bed);
  t.regex(describePlan(planOf(of(["nic1"], ["nic0"]), state)), /take nic1 into a-bo from b-bo \[outage\]/);
  const index = find(state, "a-bo")?.ifindex ?? 0;
  const meddled = { ...state, links: state.links.map((l) => (l.name === "nic3" ? { ...l, master: index } : l)) };
  t.regex(describePlan(planOf(of(["nic0"], ["nic1"]), meddled)), /^release nic3 from a-bo as soon as/);
});

test("MTUs grow from the NICs up and shrink down to them; a member that cannot keeps all as they are", (t) => {
  const bed = {
    links: NICS.map((name, i) => link({ ifindex: i + 1, name, up: true, maxMtu: 9216 - 4000 * i })),
    ports: [],
    addresses: [],
  };
  const of = (mtu: number, nics: string[]): Intent => intent(["a"], [vlanConfig("a", nics, { mtu })]);
  const small = reached(of(1500, ["nic0", "nic1"]), bed);
  const order = (plan: Plan): string[] =>
    plan.steps.flatMap((s) =>
      s.op === "change-link" && s.after.mtu !== undefined ? [s.name] : s.op === "set-port" ? ["port"] : [],
    );
  t.deepEqual(order(planOf(of(5000, ["nic0", "nic1"]), small)), ["a-bo", "a-br", "port"]);
  const large = reached(of(5000, ["nic0", "nic1"]), small);
  t.is(find(large, "nic1")?.mtu, 5000, "the kernel sets the members'");
  t.deepEqual(order(planOf(of(1500, ["nic0", "nic1"]), large)), ["port", "a-br", "a-bo"]);
  const refused = targetOf(of(9000, ["nic0", "nic1"]), large);
  t.deepEqual(
    refused.conditions.map(({ code }) => code),
    ["MTU_TOO_LARGE"],
  );
  t.is(refused.links.get("a-bo")?.mtu, 5000);
  t.is(describePlan(diff(refused, large)), "nothing to do");
  const other = targetOf(of(5000, ["nic0", "nic2"]), small);
  t.deepEqual(
    [...other.links.values()].filter(({ kind }) => kind === "member").map(({ name }) => name),
    ["nic0"],
    "a NIC that is too small does not come in",
  );
});
