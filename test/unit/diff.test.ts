// Plans against a simulated host: they converge, undo, keep their order and leave strangers alone.
import test from "ava";
import fc from "fast-check";
import type { Link } from "../../daemon/kernel/kernel.ts";
import type { Attachment } from "../../daemon/model/attachment.ts";
import { describe, describePlan } from "../../daemon/model/describe.ts";
import { diff } from "../../daemon/model/diff.ts";
import { inverse } from "../../daemon/model/inverse.ts";
import type { Plan, Step } from "../../daemon/model/plan.ts";
import { observedSwitchIds } from "../../daemon/model/switch-ids.ts";
import { isOurs, type Observed } from "../../daemon/model/target.ts";
import { attachment, intent, network, vlanConfig, workloadLink } from "../peers/model-fixtures.ts";
import { link, perform, simulate } from "../peers/simulate.ts";
import { compiled, drift, machine, reached, recorded, shape, wish } from "../peers/worlds.ts";

const runs = { numRuns: 200 };

// ---- properties -------------------------------------------------------------------------------------------------------

test("a plan carried out leaves nothing to do, from any state and after any drift", (t) => {
  fc.assert(
    fc.property(machine, wish, drift, wish, (start, first, drifted, second) => {
      let state = start;
      for (const [step, of] of [first, first, second].entries()) {
        if (step === 1) state = drifted(state);
        const { target, switchIds } = compiled(of, state);
        const plan = diff(target, state);
        state = simulate(plan, state);
        const there = new Map(state.links.map((l) => [l.name, l.ifindex]));
        t.true([...target.links.keys()].every((name) => there.has(name)));
        t.deepEqual(
          state.ports.map((p) => p.ifindex).sort((x, y) => x - y),
          [...target.ports.keys()].map((name) => there.get(name) ?? 0).sort((x, y) => x - y),
        );
        t.is(describePlan(diff(compiled(recorded(of, plan), state, switchIds).target, state)), "nothing to do");
      }
    }),
    runs,
  );
});

test("a plan and its inverse lead back to the start", (t) => {
  fc.assert(
    fc.property(machine, wish, wish, (start, first, second) => {
      const before = reached(first, start);
      const plan = diff(compiled(second, before).target, before);
      fc.pre(!plan.steps.some((s) => s.op === "delete-link" && s.before === null));
      const after = simulate(inverse(plan), simulate(plan, before));
      t.deepEqual(shape(after), shape(before));
    }),
    runs,
  );
});

test("no step touches a link that is not ours, except to adjust a NIC that is or was an uplink", (t) => {
  fc.assert(
    fc.property(machine, wish, drift, wish, (start, first, drifted, second) => {
      const state = drifted(reached(first, start));
      const { target } = compiled(second, state);
      const foreign = new Map(state.links.filter((l) => !isOurs(l)).map((l) => [l.name, l]));
      const uplinks = new Set(state.ports.filter((p) => p.config.uplink).map((p) => p.ifindex));
      for (const step of diff(target, state).steps) {
        if (step.op === "create-link" && foreign.has(step.link.name)) return false;
        if (step.op === "delete-link" && foreign.has(step.name)) return false;
        const stranger = step.op === "change-link" ? foreign.get(step.name) : undefined;
        if (stranger === undefined) continue;
        if (target.links.get(stranger.name)?.kind !== "nic" && !uplinks.has(stranger.ifindex)) return false;
        if (step.op === "change-link" && (step.after.alias !== undefined || step.after.name !== undefined))
          return false;
      }
      return true;
    }),
    runs,
  );
  t.pass();
});

test("at every moment of a plan, no link of a cluster network sends what its NIC cannot carry", (t) => {
  fc.assert(
    fc.property(machine, wish, wish, (start, first, second) => {
      let state = reached(first, start);
      const { target } = compiled(second, state);
      const plan = diff(target, state);
      const nicOf = new Map(
        [...target.links.values()].filter((l) => l.kind === "nic").map((l) => [l.clusterNetwork, l.name]),
      );
      const tooLarge = (o: Observed): Set<string> => {
        const mtu = (name: string): number => o.links.find((l) => l.name === name)?.mtu ?? Number.POSITIVE_INFINITY;
        const wrong = [...target.links.values()].filter(
          (l) =>
            l.kind !== "nic" &&
            o.links.some((x) => x.name === l.name) &&
            mtu(l.name) > mtu(nicOf.get(l.clusterNetwork) ?? ""),
        );
        return new Set(wrong.map((l) => l.name));
      };
      const atStart = tooLarge(state);
      for (const step of plan.steps) {
        state = perform(step, state);
        for (const name of tooLarge(state)) if (!atStart.has(name)) return false;
      }
      return true;
    }),
    runs,
  );
  t.pass();
});

test("ports go before links go, links come before ports are set", (t) => {
  const rank = (step: Step): number => {
    if (step.op === "remove-port") return 1;
    if (step.op === "delete-link") return 2;
    if (step.op === "create-link") return 3;
    return step.op === "set-port" ? 4 : 0;
  };
  fc.assert(
    fc.property(machine, wish, wish, (start, first, second) => {
      const state = reached(first, start);
      const ranks = diff(compiled(second, state).target, state)
        .steps.map(rank)
        .filter((r) => r > 0);
      return ranks.every((r, i) => i === 0 || r >= (ranks[i - 1] ?? 0));
    }),
    runs,
  );
  t.pass();
});

test("after a restart the switch ids are read back from the kernel", (t) => {
  fc.assert(
    fc.property(machine, wish, wish, (start, first, second) => {
      const one = compiled(first, start);
      const state = simulate(diff(one.target, start), start);
      const two = compiled(second, state, one.switchIds);
      const now = simulate(diff(two.target, state), state);
      const read = observedSwitchIds(now);
      for (const [name, id] of read) t.is(two.switchIds.get(name), id);
    }),
    { numRuns: 100 },
  );
});

test("where a bridge is missing, the switch id is read back from a port whose alias names the cluster network", (t) => {
  const one = reached({ intent: oob(), attachments: [w] }, bare);
  const ports = one.ports.map((p) => ({ ...p, config: { ...p.config, switchId: 9 } }));
  const links = one.links.filter((l) => l.name !== "oob-br" && !l.name.startsWith("oob-p"));
  t.deepEqual([...observedSwitchIds({ ...one, links, ports })], [["oob", 9]]);
  t.deepEqual([...observedSwitchIds({ ...one, ports })], [["oob", 0]]);
});

// ---- tables -----------------------------------------------------------------------------------------------------------

const nic0 = link({ ifindex: 2, name: "nic0" });
const oob = (uplink = {}) =>
  intent(["oob"], [vlanConfig("oob", ["nic0"], uplink)], [network("vlan100", "oob", 100, true)]);
const w = attachment("w", "oob", { mode: "access", vlan: 200 });
const bare: Observed = { links: [nic0, workloadLink(5, w)], ports: [], addresses: [] };
const lines = (plan: Plan): string[] => plan.steps.map(describe);

test("first plan of a host, in words", (t) => {
  t.deepEqual(lines(diff(compiled({ intent: oob(), attachments: [w] }, bare).target, bare)), [
    "change nic0: up off -> on, promiscuous off -> on",
    "create bridge oob-br, MTU 1500",
    "create veth oob-pp and oob-pi, MTU 1500",
    "add port oob-pp: switch 0, no PVID, VLANs 100, MTU 1500",
    "add port pww: switch 0, PVID 200, VLANs 200, untagged 200, MTU 1500",
    "add port nic0: switch 0, no PVID, VLANs 100,200, MTU 1500",
  ]);
});

test("MTU grows from the NIC on, and shrinks towards it", (t) => {
  const small = reached({ intent: oob(), attachments: [w] }, bare);
  const grow = diff(compiled({ intent: oob({ mtu: 9000 }), attachments: [w] }, small).target, small);
  t.deepEqual(lines(grow), [
    "change nic0: MTU 1500 -> 9000 [blip]",
    "change oob-br: MTU 1500 -> 9000",
    "change oob-pp: MTU 1500 -> 9000",
    "change oob-pi: MTU 1500 -> 9000",
    "change pww: MTU 1500 -> 9000",
    "change port oob-pp: MTU 1500 -> 9000",
    "change port pww: MTU 1500 -> 9000",
    "change port nic0: MTU 1500 -> 9000",
    "set the MTU of workload w: 1500 -> 9000",
  ]);
  const large = simulate(grow, small);
  const { attachments } = recorded({ intent: oob(), attachments: [w] }, grow);
  t.deepEqual(lines(diff(compiled({ intent: oob(), attachments }, large).target, large)), [
    "set the MTU of workload w: 9000 -> 1500 [blip]",
    "change port oob-pp: MTU 9000 -> 1500 [blip]",
    "change port pww: MTU 9000 -> 1500 [blip]",
    "change port nic0: MTU 9000 -> 1500 [blip]",
    "change pww: MTU 9000 -> 1500",
    "change oob-pi: MTU 9000 -> 1500",
    "change oob-pp: MTU 9000 -> 1500",
    "change oob-br: MTU 9000 -> 1500",
    "change nic0: MTU 9000 -> 1500 [blip]",
  ]);
});

test("a container's end is set when its record says another MTU, or none; never while the record is not complete", (t) => {
  const state = reached({ intent: oob(), attachments: [w] }, bare);
  const stepsFor = (more: Partial<Attachment>) =>
    lines(diff(compiled({ intent: oob(), attachments: [{ ...w, ...more }] }, state).target, state));
  t.deepEqual(stepsFor({}), []);
  t.deepEqual(stepsFor({ mtu: 0 }), ["set the MTU of workload w: unknown -> 1500"]);
  t.deepEqual(stepsFor({ mtu: 1400 }), ["set the MTU of workload w: 1400 -> 1500"]);
  t.deepEqual(stepsFor({ mtu: 1400, state: "pending" }), []);
});

test("a cluster network that leaves: NIC released, ports and links removed, the orphaned workload's link too", (t) => {
  const state = reached({ intent: oob(), attachments: [w] }, bare);
  t.deepEqual(lines(diff(compiled({ intent: intent([]), attachments: [] }, state).target, state)), [
    "change nic0: promiscuous on -> off",
    "remove port oob-pp",
    "remove port pww [outage]",
    "remove port nic0 [outage]",
    "delete link pww [outage]",
    "delete bridge oob-br [outage]",
    "delete veth oob-pp",
  ]);
});

test("a port whose program is gone is set again; a port whose link is gone is removed", (t) => {
  const state = reached({ intent: oob(), attachments: [w] }, bare);
  const ports = state.ports.map((p) => (p.ifindex === 5 ? { ...p, attached: false } : p));
  const stale = { ...(state.ports[0] ?? t.fail()), ifindex: 99, portId: 42 } as Observed["ports"][number];
  const broken = { ...state, ports: [...ports, stale] };
  t.deepEqual(lines(diff(compiled({ intent: oob(), attachments: [w] }, broken).target, broken)), [
    "remove port 42: its link 99 is gone",
    "change port pww: attach its program again",
  ]);
});

test("impact: a VLAN that a workload loses is an outage, one that the uplink no longer needs is not", (t) => {
  const state = reached({ intent: oob(), attachments: [w] }, bare);
  const moved = { ...w, vlans: { mode: "access", vlan: 201 } as const };
  const plan = diff(compiled({ intent: oob(), attachments: [moved] }, state).target, state);
  t.deepEqual(lines(plan), [
    "change port pww: PVID 200 -> 201, VLANs 200 -> 201, untagged 200 -> 201 [outage]",
    "change port nic0: VLANs 100,200 -> 100,201",
  ]);
});

test("a link that is right gives no step, also where this kernel lacks an attribute", (t) => {
  const state = reached({ intent: oob(), attachments: [] }, { links: [nic0], ports: [], addresses: [] });
  const links = state.links.map((l) => {
    const { nfCallIptables: _1, nfCallIp6tables: _2, nfCallArptables: _3, ...data } = l.data;
    return { ...l, data };
  });
  const plan = diff(compiled({ intent: oob(), attachments: [] }, { ...state, links }).target, { ...state, links });
  t.is(describePlan(plan), "nothing to do");
});

test("a stranger that took one of our names since the target was compiled is left alone", (t) => {
  const { target } = compiled({ intent: oob(), attachments: [w] }, bare);
  const stranger = (ifindex: number, name: string): Link => link({ ifindex, name, kind: "veth", mtu: 1400 });
  const now = {
    links: [nic0, stranger(5, "pww"), stranger(6, "oob-br"), stranger(7, "oob-pp")],
    ports: [],
    addresses: [],
  };
  t.deepEqual(lines(diff(target, now)), [
    "change nic0: up off -> on, promiscuous off -> on",
    "add port nic0: switch 0, no PVID, VLANs 100,200, MTU 1500",
  ]);
});
