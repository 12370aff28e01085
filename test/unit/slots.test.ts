import fc from "fast-check";
import test from "ava";
import { SlotAllocator, type SlotRange } from "../../daemon/datapath/ebpf/slots.ts";

test("the first gap that is large enough is taken", (t) => {
  const slots = new SlotAllocator(10, [
    { base: 2, count: 2 },
    { base: 6, count: 1 },
  ]);
  t.deepEqual(slots.allocate(2), { base: 0, count: 2 });
  t.deepEqual(slots.allocate(3), { base: 7, count: 3 });
  t.deepEqual(slots.allocate(2), { base: 4, count: 2 });
  t.is(slots.allocate(1), null);
});

test("a released range can be taken again", (t) => {
  const slots = new SlotAllocator(4);
  const first = slots.allocate(4);
  t.is(slots.allocate(1), null);
  if (first) slots.release(first);
  t.deepEqual(slots.allocate(4), { base: 0, count: 4 });
});

test("a port without VLANs takes no slot", (t) => {
  const slots = new SlotAllocator(1, [{ base: 0, count: 1 }]);
  t.deepEqual(slots.allocate(0), { base: 0, count: 0 });
});

test("ranges never overlap and never leave the limit, whatever is allocated and released", (t) => {
  const commands = fc.array(fc.oneof(fc.nat(9), fc.constant("release" as const)), { maxLength: 60 });
  fc.assert(
    fc.property(commands, fc.nat(), (steps, seed) => {
      const slots = new SlotAllocator(40);
      const held: SlotRange[] = [];
      let next = seed;
      for (const step of steps) {
        if (step === "release") {
          const [gone] = held.splice(next++ % (held.length || 1), 1);
          if (gone) slots.release(gone);
          continue;
        }
        const range = slots.allocate(step);
        if (range) held.push(range);
      }
      const taken = held.flatMap(({ base, count }) => Array.from({ length: count }, (_, i) => base + i));
      return new Set(taken).size === taken.length && taken.every((slot) => slot >= 0 && slot < 40);
    }),
  );
  t.pass();
});
