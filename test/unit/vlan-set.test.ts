/** Sets of VLANs. */
import test from "ava";
import fc from "fast-check";
import { isVlanId, VLAN_MAX, VLAN_MIN, VlanSet, VlanSetSyntaxError } from "../../daemon/model/vlan-set.ts";

const vids = fc.uniqueArray(fc.integer({ min: VLAN_MIN, max: VLAN_MAX }), { maxLength: 300 });

test("holds what it was made of, ascending, and nothing else", (t) => {
  fc.assert(
    fc.property(vids, (list) => {
      const set = VlanSet.from(list);
      t.deepEqual(
        [...set],
        list.toSorted((a, b) => a - b),
      );
      t.is(set.count, list.length);
      t.is(set.isEmpty, list.length === 0);
      for (let vid = -1; vid <= 4097; vid++) if (set.has(vid) !== list.includes(vid)) t.fail(`${vid}`);
    }),
    { numRuns: 30 },
  );
  t.pass();
});

test("text, bitmap and ranges read back as the same set", (t) => {
  fc.assert(
    fc.property(vids, (list) => {
      const set = VlanSet.from(list);
      t.true(VlanSet.parse(set.toString()).equals(set));
      t.true(VlanSet.fromBitmap(set.toBitmap()).equals(set));
      t.true(VlanSet.fromRanges(set.ranges()).equals(set));
    }),
    { numRuns: 50 },
  );
});

test("union, intersection, difference and subset are those of sets", (t) => {
  fc.assert(
    fc.property(vids, vids, (a, b) => {
      const [left, right] = [VlanSet.from(a), VlanSet.from(b)];
      const sorted = (list: number[]): string => VlanSet.from(list).toString();
      t.is(left.union(right).toString(), sorted([...a, ...b]));
      t.is(left.intersection(right).toString(), sorted(a.filter((vid) => b.includes(vid))));
      t.is(left.difference(right).toString(), sorted(a.filter((vid) => !b.includes(vid))));
      t.is(
        left.isSubsetOf(right),
        a.every((vid) => b.includes(vid)),
      );
      t.true(left.intersection(right).isSubsetOf(left));
      t.is(left.equals(right), left.isSubsetOf(right) && right.isSubsetOf(left));
    }),
    { numRuns: 50 },
  );
});

test("rank is the number of VLANs below", (t) => {
  fc.assert(
    fc.property(vids, fc.integer({ min: VLAN_MIN, max: VLAN_MAX }), (list, vid) => {
      t.is(VlanSet.from(list).rank(vid), list.filter((other) => other < vid).length);
    }),
  );
  t.is(VlanSet.all.rank(4094), 4093);
  t.throws(() => VlanSet.all.rank(4095), { instanceOf: RangeError });
});

test("the bits at the edges of words count", (t) => {
  const edges = [1, 31, 32, 63, 64, 65, 127, 128, 4063, 4064, 4094];
  t.deepEqual([...VlanSet.from(edges)], edges);
  const bitmap = VlanSet.of(1, 63, 64, 4094).toBitmap();
  t.is(bitmap.length, 512);
  t.deepEqual([bitmap[0], bitmap[7], bitmap[8], bitmap[511]], [0x02, 0x80, 0x01, 0x40]);
});

test("text is canonical and short", (t) => {
  t.is(VlanSet.parse(" 210, 200-205 ,206-209,100").toString(), "100,200-210");
  t.is(VlanSet.parse("").toString(), "");
  t.is(VlanSet.all.toString(), "1-4094");
  t.is(VlanSet.parse("1-4094").count, 4094);
  t.is(JSON.stringify({ vlans: VlanSet.of(5, 6, 8) }), '{"vlans":"5-6,8"}');
});

for (const [text, offset, message] of [
  ["0", 0, /VLAN 0 is not in 1\.\.4094/],
  ["4095", 0, /VLAN 4095 is not/],
  ["100,4095-4096", 4, /VLAN 4095 is not/],
  ["100,abc", 4, /"abc" is not a VLAN/],
  ["100,", 4, /"" is not a VLAN/],
  ["200-100", 0, /runs backwards/],
  ["-5", 0, /is not a VLAN/],
  ["1.5", 0, /is not a VLAN/],
  ["1e2", 0, /is not a VLAN/],
  ["0x10", 0, /is not a VLAN/],
  ["100-", 0, /is not a VLAN/],
  ["999999999999", 0, /is not a VLAN/],
] as const) {
  test(`"${text}" is refused with its place`, (t) => {
    const error = t.throws(() => VlanSet.parse(text), { instanceOf: VlanSetSyntaxError, message });
    t.is(error.offset, offset);
  });
}

test("numbers that are no VLANs are refused", (t) => {
  for (const vid of [0, 4095, -1, 1.5, Number.NaN]) {
    t.false(isVlanId(vid));
    t.throws(() => VlanSet.of(vid), { instanceOf: RangeError });
    t.throws(() => VlanSet.fromRanges([{ first: 1, last: vid }]), { instanceOf: RangeError });
  }
  t.throws(() => VlanSet.fromRanges([{ first: 9, last: 8 }]), { instanceOf: RangeError, message: /backwards/ });
  t.throws(() => VlanSet.fromBitmap(new Uint8Array(511)), { instanceOf: RangeError });
  t.throws(() => VlanSet.fromBitmap(Uint8Array.from({ length: 512 }, (_, i) => (i === 511 ? 0x80 : 0))));
  t.throws(() => VlanSet.fromBitmap(Uint8Array.from({ length: 512 }, (_, i) => (i === 0 ? 1 : 0))));
});

test("a set is unchanged by what is done with its bitmap", (t) => {
  const set = VlanSet.of(100);
  set.toBitmap().fill(0xff);
  t.is(set.toString(), "100");
});
