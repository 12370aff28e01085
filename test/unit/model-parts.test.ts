// The small parts of the model: demand for VLANs, switch ids, aliases, names.
import test from "ava";
import fc from "fast-check";
import { interfaceNameFault } from "../../daemon/model/names.ts";
import { assignSwitchIds, MAX_SWITCHES } from "../../daemon/model/switch-ids.ts";
import { attachmentAlias, bridgeAlias, isOurs, parseAlias, probeAlias } from "../../daemon/model/target.ts";
import { VlanDemand } from "../../daemon/model/vlan-demand.ts";
import { VlanSet } from "../../daemon/model/vlan-set.ts";

test("a demand is the union of its users, however they come and go, and tells when it changes", (t) => {
  const set = fc.array(fc.integer({ min: 1, max: 12 })).map((vids) => VlanSet.from(vids));
  fc.assert(
    fc.property(fc.array(fc.oneof(set, fc.nat(9))), (moves) => {
      const demand = new VlanDemand();
      const users: VlanSet[] = [];
      for (const move of moves) {
        const before = demand.vlans;
        const leaver = typeof move === "number" ? users.splice(move % (users.length || 1), 1)[0] : undefined;
        if (typeof move !== "number") users.push(move);
        const changed = typeof move !== "number" ? demand.add(move) : leaver ? demand.remove(leaver) : false;
        const union = users.reduce((all, one) => all.union(one), VlanSet.empty);
        t.true(demand.vlans.equals(union));
        t.is(changed, !before.equals(union));
      }
    }),
  );
  t.throws(() => new VlanDemand().remove(VlanSet.of(5)), { instanceOf: RangeError });
});

test("switch ids are unique, in range, kept where they were, and given to as many as fit", (t) => {
  const all = Array.from({ length: 20 }, (_, i) => `cn${i}`);
  const old = fc.array(fc.tuple(fc.constantFrom(...all), fc.integer({ min: -1, max: 17 })));
  fc.assert(
    fc.property(fc.shuffledSubarray(all), old, (names, pairs) => {
      const previous = new Map(pairs);
      const ids = assignSwitchIds(names, previous);
      const values = [...ids.values()];
      t.is(ids.size, Math.min(names.length, MAX_SWITCHES));
      t.is(new Set(values).size, values.length);
      t.true(values.every((id) => id >= 0 && id < MAX_SWITCHES));
      t.deepEqual(assignSwitchIds([...ids.keys()], ids), ids);
      for (const [n, id] of ids) {
        const was = previous.get(n);
        const rivals = names.filter((other) => previous.get(other) === was).length;
        if (was !== undefined && was >= 0 && was < MAX_SWITCHES && rivals === 1) t.is(id, was);
      }
    }),
  );
});

test("aliases say what a link is, and only ours are ours", (t) => {
  t.deepEqual(parseAlias(bridgeAlias("oob", 12)), { clusterNetwork: "oob", network: "", switchId: 12 });
  t.deepEqual(parseAlias(probeAlias("oob")), { clusterNetwork: "oob", network: "", switchId: null });
  const port = attachmentAlias("oob", "default/vlan100", "abc/eth0");
  t.deepEqual(parseAlias(port), { clusterNetwork: "oob", network: "default/vlan100", switchId: null });
  for (const alias of ["", "portwrightx", "my portwright bridge", "uplink to portwright "]) {
    t.false(isOurs({ alias }));
    t.is(parseAlias(alias), null);
  }
});

test("interface names that the kernel takes, and those that it does not", (t) => {
  for (const name of ["a", "eth0", "abcdefghijklmno", "ü", "a.100"]) t.is(interfaceNameFault(name), null);
  for (const name of ["", "abcdefghijklmnop", "éééééééé", ".", "..", "a/b", "a:1", "a b", "a\tb", "a\0"])
    t.truthy(interfaceNameFault(name));
});
