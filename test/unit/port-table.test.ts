import test from "ava";
import { domainOf } from "../../daemon/datapath/ebpf/flood-lists.ts";
import { PortTable } from "../../daemon/datapath/ebpf/port-table.ts";
import { PortwrightError } from "../../daemon/errors.ts";
import { port } from "../peers/port-config.ts";

const LIMITS = { maxPorts: 5, maxSlots: 8, maxFlood: 3 };

function codeOf(work: () => unknown): string {
  try {
    work();
  } catch (error) {
    return error instanceof PortwrightError ? error.code : String(error);
  }
  return "";
}

test("ports get their own ids and slots; a changed port keeps its id, and its slots while its VLANs stay", (t) => {
  const table = new PortTable(LIMITS);
  const a = table.set(10, port([], [100]));
  const b = table.set(11, port([], [100]));
  t.not(a.after.portId, b.after.portId);
  t.deepEqual(
    [a.after.slots, b.after.slots],
    [
      { base: 0, count: 1 },
      { base: 1, count: 1 },
    ],
  );
  t.true(a.freshSlots);
  const same = table.set(10, { ...port([], [100]), isolated: true });
  t.false(same.freshSlots);
  t.is(same.after.portId, a.after.portId);
  t.deepEqual(same.after.slots, a.after.slots);
  const other = table.set(10, port([], [200]));
  t.true(other.freshSlots);
  t.is(other.after.portId, a.after.portId);
});

test("flood lists name members by form, and only domains of two or more have one", (t) => {
  const table = new PortTable(LIMITS);
  const access = table.set(10, port([], [100])).after.portId;
  t.is(table.floods.get(domainOf(0, 100)), null);
  const { after, domains } = table.set(11, port([100, 200]));
  t.deepEqual([...domains], [domainOf(0, 100), domainOf(0, 200)]);
  t.deepEqual(table.floods.get(domainOf(0, 100)), { untagged: [access], tagged: [after.portId] });
  t.is(table.floods.get(domainOf(0, 200)), null);
  t.deepEqual([...table.set(11, port([200], [100])).domains], [domainOf(0, 100)], "the form changed");
  t.deepEqual([...(table.remove(10)?.domains ?? [])], [domainOf(0, 100)]);
});

test("a hairpin alone in its domain has a flood list: itself", (t) => {
  const table = new PortTable(LIMITS);
  const { portId } = table.set(10, port([200], [100])).after;
  t.deepEqual(
    [...table.set(10, { ...port([200], [100]), hairpin: true }).domains],
    [domainOf(0, 100), domainOf(0, 200)],
  );
  t.deepEqual(table.floods.get(domainOf(0, 100)), { untagged: [portId], tagged: [] });
  t.deepEqual(table.floods.get(domainOf(0, 200)), { untagged: [], tagged: [portId] });
  table.set(10, port([200], [100]));
  t.is(table.floods.get(domainOf(0, 100)), null);
});

test("the same VLAN of two switches is two domains", (t) => {
  const table = new PortTable(LIMITS);
  table.set(10, port([], [100], 0));
  table.set(11, port([], [100], 1));
  t.is(table.floods.get(domainOf(0, 100)), null);
  t.is(table.floods.get(domainOf(1, 100)), null);
});

test("the id of a removed port rests until the FDB was swept", (t) => {
  const table = new PortTable({ ...LIMITS, maxPorts: 3 });
  const first = table.set(10, port([], [100])).after.portId;
  table.set(11, port([], [100]));
  t.is(
    codeOf(() => table.set(12, port([], [100]))),
    "PORTS_EXHAUSTED",
  );
  table.remove(10);
  t.is(
    codeOf(() => table.set(12, port([], [100]))),
    "PORTS_EXHAUSTED",
    "still named by the FDB",
  );
  table.rested([first]);
  t.is(table.set(12, port([], [100])).after.portId, first);
});

test("what does not fit is refused by name, and leaves the table as it was", (t) => {
  const table = new PortTable(LIMITS);
  for (const ifindex of [10, 11, 12]) table.set(ifindex, port([], [100]));
  t.is(
    codeOf(() => table.set(13, port([], [100]))),
    "FLOOD_LIST_FULL",
  );
  t.is(
    codeOf(() => table.set(13, port([1, 2, 3, 4, 5, 6]))),
    "COUNTERS_EXHAUSTED",
  );
  t.is(table.get(13), undefined);
  t.deepEqual(table.floods.get(domainOf(0, 1)), null);
  t.is(table.set(13, port([1, 2, 3, 4, 5])).after.slots.count, 5);
});

test("a table built from what was found goes on where it was", (t) => {
  const found = { portId: 2, ifindex: 10, config: port([], [100]), slots: { base: 3, count: 1 } };
  const table = new PortTable(LIMITS, [found]);
  t.is(table.byId(2)?.ifindex, 10);
  const next = table.set(11, port([], [100]));
  t.not(next.after.portId, 2);
  t.deepEqual(next.after.slots, { base: 0, count: 1 });
  t.deepEqual(table.floods.get(domainOf(0, 100)), {
    untagged: [next.after.portId, 2].toSorted((a, b) => a - b),
    tagged: [],
  });
});
