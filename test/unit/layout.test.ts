/** The maps' layout against the compiler's own table, and every encoder against its decoder. */
import test from "ava";
import fc from "fast-check";
import { abiMismatches, checkAbi, LAYOUT } from "../../daemon/datapath/ebpf/abi-table.ts";
import * as layout from "../../daemon/datapath/ebpf/layout.ts";
import { DROP_REASONS } from "../../daemon/datapath/drop-reasons.ts";
import { nativeKernel } from "../../daemon/kernel/native.ts";
import type { PortConfig } from "../../daemon/model/port.ts";
import { VlanSet } from "../../daemon/model/vlan-set.ts";
import { PLAIN_PORT } from "../peers/port-config.ts";

const table = nativeKernel().abi;

function abi(name: string): number {
  const value = table[name];
  if (value === undefined) throw new Error(`the addon's table has no ${name}`);
  return value;
}

test("sizes, offsets and limits are those of bpf/abi.h", (t) => {
  t.deepEqual(abiMismatches(table), []);
  t.notThrows(() => checkAbi(table));
  t.is(layout.ABI_VERSION, abi("PW_ABI_VERSION"));
  t.is(layout.MAX_PORTS, abi("PW_MAX_PORTS"));
  t.is(layout.MAX_SWITCHES, abi("PW_MAX_SWITCHES"));
  t.is(layout.DENSE_IFINDEX, abi("PW_DENSE_IFINDEX"));
  t.is(layout.FLOOD_MAX, abi("PW_FLOOD_MAX"));
  t.is(layout.SLOTS_MAX, abi("PW_SLOTS_MAX"));
  t.is(layout.TICK_SHIFT, abi("PW_TICK_SHIFT"));
  t.is(layout.FDB_STATIC, abi("PW_FDB_STATIC"));
  t.is(layout.FDB_STICKY, abi("PW_FDB_STICKY"));
});

test("another layout is refused by name", (t) => {
  t.throws(() => checkAbi({ ...LAYOUT, "pw_port.mtu": 12 }), { message: /pw_port\.mtu is 12, not 10/ });
  t.throws(() => checkAbi({}), { message: /pw_port is absent/ });
});

test("drop reasons have the numbers of bpf/abi.h, and none is missing", (t) => {
  const numbers = DROP_REASONS.map((reason) => abi(`PW_DROP_${reason.toUpperCase()}`));
  t.deepEqual(
    numbers,
    DROP_REASONS.map((_, index) => index),
  );
  t.is<number, number>(DROP_REASONS.length, abi("PW_DROP_COUNT"));
});

const vlanSet = fc.uniqueArray(fc.integer({ min: 1, max: 4094 }), { maxLength: 200 }).map((vids) => VlanSet.from(vids));
const config: fc.Arbitrary<PortConfig> = vlanSet.chain((allowed) =>
  fc.record({
    kind: fc.constantFrom("veth", "nic", "tap", "host"),
    switchId: fc.integer({ min: 0, max: 15 }),
    pvid: fc.constantFrom(0, ...allowed),
    allowed: fc.constant(allowed),
    untagged: fc.subarray([...allowed]).map((vids) => VlanSet.from(vids)),
    mtu: fc.integer({ min: 68, max: 65535 }),
    uplink: fc.boolean(),
    isolated: fc.boolean(),
    learn: fc.boolean(),
    flood: fc.boolean(),
    peer: fc.boolean(),
    datapath: fc.constant("ebpf" as const),
    fdbLimit: fc.integer({ min: 0, max: 0xffffffff }),
    open: fc.boolean(),
    hairpin: fc.boolean(),
    sourceMac: fc.constantFrom("", "02:00:00:00:00:01", "fe:dc:ba:98:76:54"),
  }),
);
const port = fc.record({
  ifindex: fc.integer({ min: 1, max: 0x7fffffff }),
  slotBase: fc.integer({ min: 0, max: 16000 }),
  config,
});

test("a port reads back as it was written", (t) => {
  fc.assert(
    fc.property(port, (record) => {
      const bytes = layout.encodePort(record);
      t.is(bytes.length, abi("pw_port"));
      const found = layout.decodePort(bytes);
      t.not(found, null);
      t.deepEqual(
        {
          ...found,
          config: { ...found?.config, allowed: `${found?.config.allowed}`, untagged: `${found?.config.untagged}` },
        },
        {
          ...record,
          config: { ...record.config, allowed: `${record.config.allowed}`, untagged: `${record.config.untagged}` },
        },
      );
    }),
    { numRuns: 100 },
  );
});

test("the flags of a port are those of bpf/abi.h", (t) => {
  const base: PortConfig = {
    ...{ ...PLAIN_PORT, pvid: 0, allowed: VlanSet.of(1, 2), untagged: VlanSet.empty },
    ...{ learn: false, flood: false, peer: false, open: false },
  };
  const flags = (change: Partial<PortConfig>): number => {
    const bytes = layout.encodePort({ ifindex: 1, slotBase: 0, config: { ...base, ...change } });
    return new DataView(bytes.buffer).getUint16(abi("pw_port.flags"), true);
  };
  t.is(flags({}), 0);
  t.is(flags({ open: true }), abi("PW_PORT_UP"));
  t.is(flags({ peer: true }), abi("PW_PORT_PEER"));
  t.is(flags({ isolated: true }), abi("PW_PORT_ISOLATED"));
  t.is(flags({ allowed: VlanSet.of(9) }), abi("PW_PORT_SINGLE"));
  t.is(flags({ learn: true }), abi("PW_PORT_LEARN"));
  t.is(flags({ flood: true }), abi("PW_PORT_FLOOD"));
  t.is(flags({ uplink: true }), abi("PW_PORT_UPLINK"));
  t.is(flags({ hairpin: true }), abi("PW_PORT_HAIRPIN"));
  for (const [kind, name] of [
    ["veth", "PW_KIND_VETH"],
    ["nic", "PW_KIND_NIC"],
    ["tap", "PW_KIND_TAP"],
    ["host", "PW_KIND_HOST"],
  ] as const) {
    const bytes = layout.encodePort({ ifindex: 1, slotBase: 0, config: { ...base, kind } });
    t.is(bytes[abi("pw_port.kind")], abi(name));
  }
});

test("the rank of a word is the number of allowed VLANs before it", (t) => {
  const allowed = VlanSet.parse("1,63-65,127,200-300,4094");
  const bytes = layout.encodePort({
    ifindex: 1,
    slotBase: 0,
    config: {
      ...{ ...PLAIN_PORT, pvid: 0, allowed, untagged: VlanSet.empty },
    },
  });
  const view = new DataView(bytes.buffer);
  for (let word = 0; word < 64; word++) {
    const below = [...allowed].filter((vid) => vid < word * 64).length;
    t.is(view.getUint16(abi("pw_port.rank") + word * 2, true), below);
  }
});

test("a port that the program could not serve is refused", (t) => {
  const good: PortConfig = {
    ...{ ...PLAIN_PORT, pvid: 5, allowed: VlanSet.of(5), untagged: VlanSet.of(5) },
  };
  const encode = (change: Partial<PortConfig>, slotBase = 0) =>
    layout.encodePort({ ifindex: 1, slotBase, config: { ...good, ...change } });
  t.notThrows(() => encode({}, 16383));
  t.throws(() => encode({ pvid: 6 }), { message: /PVID 6/ });
  t.throws(() => encode({ untagged: VlanSet.of(6) }), { message: /untagged/ });
  t.throws(() => encode({ switchId: 16 }), { message: /switch id 16/ });
  t.throws(() => encode({}, 16384), { message: /counter slots/ });
  t.is(layout.decodePort(layout.noPort()), null);
});

test("an FDB key holds the MAC in transmission order above the domain", (t) => {
  const key = layout.encodeFdbKey({ mac: "02:11:22:33:44:55", domain: 0x1064 });
  t.is(new DataView(key.buffer).getBigUint64(0, true), 0x0211223344551064n);
  t.deepEqual(layout.decodeFdbKey(key), { mac: "02:11:22:33:44:55", domain: 0x1064 });
  t.throws(() => layout.encodeFdbKey({ mac: "02:11:22:33:44", domain: 1 }), { message: /is not a MAC/ });
  t.throws(() => layout.encodeFdbKey({ mac: "02:11:22:33:44:zz", domain: 1 }), { message: /is not a MAC/ });
  t.throws(() => layout.encodeFdbKey({ mac: "02:11:22:33:44:55", domain: 65536 }), { message: /domain/ });
});

test("FDB entries, flood lists, events, sweeps and clocks read back", (t) => {
  for (const isStatic of [true, false]) {
    const entry = { portId: 4095, isStatic, sticky: !isStatic, tick: 0xfffffffe };
    t.deepEqual(layout.decodeFdbEntry(layout.encodeFdbEntry(entry)), entry);
  }
  const list = { untagged: [1, 4095, 7], tagged: [300] };
  t.deepEqual(layout.decodeFlood(layout.encodeFlood(list)), list);
  t.is(layout.encodeFlood(list).length, abi("pw_flood"));
  const many = Array.from({ length: 1024 }, (_, i) => i + 1);
  t.deepEqual(layout.decodeFlood(layout.encodeFlood({ untagged: [], tagged: many })).tagged, many);
  t.throws(() => layout.encodeFlood({ untagged: [1], tagged: many }), { message: /1024 ports, not 1025/ });

  const event = new DataView(new ArrayBuffer(24));
  event.setUint32(0, abi("PW_EVENT_STICKY_MOVE"), true);
  event.setUint16(4, 9, true);
  event.setUint16(6, 8, true);
  event.setBigUint64(8, 0x0200000000010064n, true);
  event.setBigUint64(16, 123n, true);
  t.deepEqual(layout.decodeEvent(new Uint8Array(event.buffer)), {
    ...{ type: "sticky-move", portId: 9, fromPortId: 8, mac: "02:00:00:00:00:01", domain: 100, timeNs: 123n },
  });
  event.setUint32(0, 77, true);
  t.is(layout.decodeEvent(new Uint8Array(event.buffer)), null);

  const sweepOf = (sweep: layout.Sweep) => new DataView(layout.encodeSweep(sweep).buffer);
  const sweep = sweepOf({ minAge: 5, portId: 6 });
  t.is(sweep.byteLength, abi("pw_sweep"));
  t.is(sweep.getBigUint64(abi("pw_sweep.mac"), true), 0n);
  t.is(sweep.getUint32(abi("pw_sweep.domain"), true), 0, "and no bit of the mask");
  t.is(sweep.getUint32(abi("pw_sweep.min_age"), true), 5);
  t.is(sweep.getUint16(abi("pw_sweep.port"), true), 6);
  t.is(sweep.getUint16(abi("pw_sweep.flags"), true), 0);
  const one = sweepOf({ domain: 0x3064, mac: "02:00:00:00:00:01", statics: true });
  t.is(one.getBigUint64(abi("pw_sweep.mac"), true), 0x0200000000010000n);
  t.is(one.getUint16(abi("pw_sweep.domain"), true), 0x3064);
  t.is(one.getUint16(abi("pw_sweep.domain_mask"), true), 0xffff);
  t.is(one.getUint16(abi("pw_sweep.flags"), true), abi("PW_SWEEP_STATIC"));
  const whole = sweepOf({ switchId: 3, elsewhere: true, answers: true });
  t.is(whole.getUint16(abi("pw_sweep.domain"), true), 0x3000);
  t.is(whole.getUint16(abi("pw_sweep.domain_mask"), true), 0xf000);
  t.is(whole.getUint16(abi("pw_sweep.flags"), true), abi("PW_SWEEP_OTHERS") | abi("PW_SWEEP_ANSWERS"));
  const gone = sweepOf({ gone: true, statics: true });
  t.is(gone.getUint16(abi("pw_sweep.flags"), true), abi("PW_SWEEP_GONE") | abi("PW_SWEEP_STATIC"));
  sweep.setUint32(abi("pw_sweep.removed"), 3, true);
  sweep.setUint32(abi("pw_sweep.kept"), 4, true);
  t.deepEqual(layout.decodeSweep(new Uint8Array(sweep.buffer)), { removed: 3, kept: 4 });
  t.is(layout.clockContext().length, abi("pw_clock"));
  t.is(layout.encodeConfig({ eventRate: 1, learnEvents: true }).length, abi("pw_config"));
});

test("counters are summed over the CPUs, from an offset in a batch too", (t) => {
  const words = (count: number, start: number): bigint[] => Array.from({ length: count }, (_, i) => BigInt(start + i));
  const bytes = (list: bigint[]): Uint8Array => new Uint8Array(BigUint64Array.from(list).buffer);
  const two = bytes([...words(4, 10), ...words(4, 100)]);
  const sum = { rxPackets: 110n, rxBytes: 112n, txPackets: 114n, txBytes: 116n };
  t.deepEqual(layout.sumCounters(two, 2), sum);
  t.deepEqual(layout.sumCounters(bytes([0n, ...words(4, 10), ...words(4, 100)]), 2, 8), sum);

  const drops = layout.sumDrops(bytes([...words(32, 0), ...words(32, 1000)]), 2);
  t.is(drops.runt, 1002n);
  t.is(drops.no_member, 1028n);
  t.deepEqual(Object.keys(drops), DROP_REASONS.slice(1));

  t.deepEqual(layout.sumPortStats(bytes([...words(6, 1), ...words(6, 1)]), 2), {
    ...{ floodPackets: 2n, fdbMoves: 4n, fdbLimitHits: 6n, fdbFull: 8n, eventLost: 10n },
  });
});
