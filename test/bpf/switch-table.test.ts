/** Frame in -> verdict, bytes and every counter out, by BPF_PROG_TEST_RUN; every drop reason is reached. */
import test from "ava";
import { DROP_REASONS } from "../../daemon/datapath/drop-reasons.ts";
import * as table from "../peers/bench-table.ts";
import {
  ACCESS_A,
  ACCESS_B,
  between,
  type Expected,
  expectRun,
  HYBRID,
  OTHER_SWITCH,
  OTHER_VLAN,
  TRUNK,
} from "../peers/bench-table.ts";
import { BROADCAST, filler, frame, ipv4, station, TPID_8021AD, ETH_P_IP } from "../peers/frames.ts";
import { access, type SwitchBench, trunk } from "../peers/switch-bench.ts";

let bed: table.Table;
test.before(async () => {
  bed = await table.openTable();
});
test.after.always(() => bed?.lab.close());

const reached = new Set<string>();

type Step = (bench: SwitchBench) => Promise<void>;

/** One row. `prepare` changes the common ports first. */
interface Row {
  readonly title: string;
  readonly prepare?: Step;
  readonly at: number;
  readonly frame: Uint8Array;
  readonly gsoSize?: number;
  readonly expect: Expected;
}

const A_TO_B = between(ACCESS_A, ACCESS_B);
const GROUP = "01:00:5e:00:00:05";
const UNKNOWN = station(99);
const toBoth = { rx: { "1/100": 1 }, tx: { "2/100": 1, "3/100": 1, "4/100": 1 } };

/** An Ethernet frame whose layer-3 size is `size`. */
function sized(size: number, rest: Parameters<typeof between>[2] = {}): Uint8Array {
  const tags = rest.tags?.length ?? 0;
  return between(ACCESS_A, ACCESS_B, { payload: filler(size - 4 * tags), ...rest });
}
function port(id: number, change: Omit<Parameters<SwitchBench["port"]>[1], "ifindex">): Step {
  return (bench) => bench.port(id, { ifindex: bed.ifindex(id), ...change });
}
function all(...steps: readonly Step[]): Step {
  return async (bench) => {
    for (const step of steps) await step(bench);
  };
}

const rows: readonly Row[] = [
  // -- forwarding and form
  {
    title: "known unicast goes to the port of the destination, unchanged",
    at: ACCESS_A,
    frame: A_TO_B,
    expect: { verdict: "redirect", rx: { "1/100": 1 }, tx: { "2/100": 1 } },
  },
  {
    title: "the same address in two VLANs leads to two ports",
    prepare: (bench) => bench.setFdb(station(ACCESS_B), 200, { portId: OTHER_VLAN }),
    at: TRUNK,
    frame: between(TRUNK, ACCESS_B, { tags: [{ vid: 200 }] }),
    expect: { verdict: "redirect", rx: { "3/200": 1 }, tx: { "5/200": 1 }, data: between(TRUNK, ACCESS_B) },
  },
  {
    title: "a tag in the payload is removed towards an untagged member",
    at: TRUNK,
    frame: between(TRUNK, ACCESS_B, { tags: [{ vid: 100, pcp: 3 }] }),
    expect: { verdict: "redirect", rx: { "3/100": 1 }, tx: { "2/100": 1 }, data: between(TRUNK, ACCESS_B) },
  },
  {
    title: "a tag in the payload stays towards a tagged member",
    at: TRUNK,
    frame: between(TRUNK, HYBRID, { tags: [{ vid: 100, pcp: 3 }] }),
    expect: { verdict: "redirect", rx: { "3/100": 1 }, tx: { "4/100": 1 } },
  },
  {
    title: "the native VLAN comes in untagged",
    at: HYBRID,
    prepare: (bench) => bench.port(TRUNK, { ifindex: bed.ifindex(TRUNK), ...trunk("300") }),
    frame: between(HYBRID, 77),
    expect: { verdict: "redirect", rx: { "4/300": 1 }, tx: { "3/300": 1 } },
  },
  {
    title: "the PVID may come in tagged",
    at: ACCESS_A,
    frame: between(ACCESS_A, ACCESS_B, { tags: [{ vid: 100 }] }),
    expect: { verdict: "redirect", rx: { "1/100": 1 }, tx: { "2/100": 1 }, data: A_TO_B },
  },
  {
    title: "a priority-tagged frame belongs to the PVID, and its VID 0 never goes on",
    at: ACCESS_A,
    frame: between(ACCESS_A, ACCESS_B, { tags: [{ vid: 0, pcp: 5 }] }),
    expect: { verdict: "redirect", rx: { "1/100": 1 }, tx: { "2/100": 1 }, data: A_TO_B },
  },
  {
    title: "an 802.1ad frame counts as untagged and passes whole, with what is inside",
    at: ACCESS_A,
    frame: between(ACCESS_A, ACCESS_B, { tags: [{ vid: 200, tpid: TPID_8021AD }, { vid: 7 }] }),
    expect: { verdict: "redirect", rx: { "1/100": 1 }, tx: { "2/100": 1 } },
  },
  {
    title: "an 802.1ad frame is dropped where there is no PVID, whatever its VID",
    at: TRUNK,
    frame: between(TRUNK, ACCESS_B, { tags: [{ vid: 100, tpid: TPID_8021AD }] }),
    expect: { verdict: "drop", drops: { "3/untagged": 1 } },
  },
  {
    title: "only the outer of two tags is the switch's",
    at: TRUNK,
    frame: between(TRUNK, HYBRID, { tags: [{ vid: 100 }, { vid: 999 }] }),
    expect: { verdict: "redirect", rx: { "3/100": 1 }, tx: { "4/100": 1 } },
  },
  {
    title: "a frame of nothing but an Ethernet header passes",
    at: ACCESS_A,
    frame: A_TO_B.slice(0, 14),
    expect: { verdict: "redirect", rx: { "1/100": 1 }, tx: { "2/100": 1 } },
  },
  // -- dropped at the port it came from
  {
    title: "runt: the tag is cut short",
    at: TRUNK,
    frame: between(TRUNK, ACCESS_B, { tags: [{ vid: 100 }] }).slice(0, 17),
    expect: { verdict: "drop", drops: { "3/runt": 1 } },
  },
  ...["01:00:00:00:00:01", BROADCAST, "00:00:00:00:00:00"].map(
    (src): Row => ({
      title: `bad source ${src}`,
      at: ACCESS_A,
      frame: frame({ dst: station(ACCESS_B), src }),
      expect: { verdict: "drop", drops: { "1/bad_source": 1 } },
    }),
  ),
  {
    title: "a bad source is refused before a reserved destination is looked at",
    at: ACCESS_A,
    frame: frame({ dst: "01:80:c2:00:00:0e", src: BROADCAST }),
    expect: { verdict: "drop", drops: { "1/bad_source": 1 } },
  },
  {
    title: "VID 4095 is reserved",
    at: TRUNK,
    frame: between(TRUNK, ACCESS_B, { tags: [{ vid: 4095 }] }),
    expect: { verdict: "drop", drops: { "3/reserved_vid": 1 } },
  },
  {
    title: "untagged without a PVID",
    at: TRUNK,
    frame: between(TRUNK, ACCESS_B),
    expect: { verdict: "drop", drops: { "3/untagged": 1 } },
  },
  {
    title: "priority-tagged without a PVID",
    at: TRUNK,
    frame: between(TRUNK, ACCESS_B, { tags: [{ vid: 0, pcp: 7 }] }),
    expect: { verdict: "drop", drops: { "3/untagged": 1 } },
  },
  ...[101, 200, 36, 4094].map(
    (vid): Row => ({
      title: `VLAN ${vid} is not allowed on an access port of 100`,
      at: ACCESS_A,
      frame: between(ACCESS_A, ACCESS_B, { tags: [{ vid }] }),
      expect: { verdict: "drop", drops: { "1/vlan_not_allowed": 1 } },
    }),
  ),
  {
    title: "a port that is down takes nothing, not even LLDP",
    prepare: port(ACCESS_A, { ...access(100), up: false }),
    at: ACCESS_A,
    frame: frame({ dst: "01:80:c2:00:00:0e", src: station(ACCESS_A) }),
    expect: { verdict: "drop", drops: { "1/port_down": 1 } },
  },
  {
    title: "a sticky address seen on another port",
    prepare: (bench) => bench.setFdb(station(50), 100, { portId: ACCESS_B, sticky: true }),
    at: ACCESS_A,
    frame: between(50, ACCESS_B),
    expect: { verdict: "drop", drops: { "1/sticky_move": 1 } },
  },
  {
    title: "a sticky address on its own port is served",
    prepare: (bench) => bench.setFdb(station(50), 100, { portId: ACCESS_A, sticky: true }),
    at: ACCESS_A,
    frame: between(50, ACCESS_B),
    expect: { verdict: "redirect", rx: { "1/100": 1 }, tx: { "2/100": 1 } },
  },
  {
    title: "hairpin: the destination is on the port that the frame came from",
    prepare: (bench) => bench.setFdb(station(50), 100, { portId: ACCESS_A }),
    at: ACCESS_A,
    frame: between(ACCESS_A, 50),
    expect: { verdict: "drop", rx: { "1/100": 1 }, drops: { "1/hairpin": 1 } },
  },
  // -- dropped at the port it was for
  {
    title: "the destination's port is down",
    prepare: port(ACCESS_B, { ...access(100), up: false }),
    at: ACCESS_A,
    frame: A_TO_B,
    expect: { verdict: "drop", rx: { "1/100": 1 }, drops: { "2/port_down": 1 } },
  },
  {
    title: "the destination's port is no member of the VLAN",
    prepare: (bench) => bench.setFdb(station(ACCESS_B), 100, { portId: OTHER_VLAN }),
    at: ACCESS_A,
    frame: A_TO_B,
    expect: { verdict: "drop", rx: { "1/100": 1 }, drops: { "5/egress_vlan": 1 } },
  },
  {
    title: "the destination's port belongs to another switch with the same VLAN",
    prepare: (bench) => bench.setFdb(station(ACCESS_B), 100, { portId: OTHER_SWITCH }),
    at: ACCESS_A,
    frame: A_TO_B,
    expect: { verdict: "drop", rx: { "1/100": 1 }, drops: { "6/egress_vlan": 1 } },
  },
  {
    title: "both ports are isolated",
    prepare: all(
      port(ACCESS_A, { ...access(100), isolated: true }),
      port(ACCESS_B, { ...access(100), isolated: true }),
    ),
    at: ACCESS_A,
    frame: A_TO_B,
    expect: { verdict: "drop", rx: { "1/100": 1 }, drops: { "2/isolated": 1 } },
  },
  {
    title: "an isolated port reaches one that is not",
    prepare: port(ACCESS_A, { ...access(100), isolated: true }),
    at: ACCESS_A,
    frame: A_TO_B,
    expect: { verdict: "redirect", rx: { "1/100": 1 }, tx: { "2/100": 1 } },
  },
  {
    title: "the destination's port is gone",
    prepare: (bench) => bench.removePort(ACCESS_B),
    at: ACCESS_A,
    frame: A_TO_B,
    expect: { verdict: "drop", rx: { "1/100": 1 }, drops: { "2/no_port": 1 } },
  },
  {
    title: "the FDB names a port that cannot exist",
    prepare: (bench) => bench.setFdb(station(ACCESS_B), 100, { portId: 5000 }),
    at: ACCESS_A,
    frame: A_TO_B,
    expect: { verdict: "drop", rx: { "1/100": 1 }, drops: { "0/no_port": 1 } },
  },
  {
    title: "nothing of a device that is no port reaches the host",
    prepare: (bench) => bench.removePort(ACCESS_A),
    at: ACCESS_A,
    frame: A_TO_B,
    expect: { verdict: "drop", drops: { "0/no_port": 1 } },
  },
  // -- MTU: is_skb_forwardable of the Linux bridge allows VLAN_HLEN more
  ...(
    [
      ["the MTU", 1500, {}, true],
      ["four octets more, as the bridge", 1504, {}, true],
      ["five octets more", 1505, {}, false],
      ["a frame of 3400 octets", 3400, {}, false],
      ["an 802.1ad frame with the MTU inside", 1504, { tags: [{ vid: 5, tpid: TPID_8021AD }] }, true],
      ["an 802.1ad frame with more inside", 1505, { tags: [{ vid: 5, tpid: TPID_8021AD }] }, false],
    ] as const
  ).map(
    ([title, size, rest, fits]): Row => ({
      title: `size: ${title} ${fits ? "passes" : "is too big"}`,
      at: ACCESS_A,
      frame: sized(size, rest),
      expect: fits
        ? { verdict: "redirect", rx: { "1/100": 1 }, tx: { "2/100": 1 } }
        : { verdict: "drop", rx: { "1/100": 1 }, drops: { "2/mtu": 1 } },
    }),
  ),
  {
    title: "size: a tag in the payload does not count, as it would not in the metadata",
    at: ACCESS_A,
    frame: between(ACCESS_A, ACCESS_B, { tags: [{ vid: 100 }], payload: filler(1504) }),
    expect: {
      verdict: "redirect",
      rx: { "1/100": 1 },
      tx: { "2/100": 1 },
      data: between(ACCESS_A, ACCESS_B, { payload: filler(1504) }),
    },
  },
  ...(
    [
      ["tcp", 1460, true],
      ["tcp", 1464, true],
      ["tcp", 1465, false],
      ["tcp", 8960, false],
      ["udp", 1480, true],
      ["udp", 1485, false],
    ] as const
  ).map(
    ([protocol, gsoSize, fits]): Row => ({
      title: `size: a GSO frame of ${protocol} segments of ${gsoSize} ${fits ? "passes" : "is too big"}`,
      at: ACCESS_A,
      frame: between(ACCESS_A, ACCESS_B, {
        etherType: ETH_P_IP,
        payload: ipv4(protocol, "10.0.0.1", "10.0.0.2", 3200),
      }),
      gsoSize,
      expect: fits
        ? { verdict: "redirect", rx: { "1/100": 1 }, tx: { "2/100": 1 } }
        : { verdict: "drop", rx: { "1/100": 1 }, drops: { "2/mtu": 1 } },
    }),
  ),
  // -- flooding
  ...[BROADCAST, GROUP, "33:33:00:00:00:01", "01:80:c2:00:00:10", UNKNOWN].map(
    (dst): Row => ({
      title: `${dst} goes to every member of the VLAN but the sender`,
      at: ACCESS_A,
      frame: frame({ dst, src: station(ACCESS_A) }),
      expect: { verdict: "redirect", ...toBoth },
    }),
  ),
  {
    title: "a tagged frame is flooded in both forms",
    at: TRUNK,
    frame: frame({ dst: BROADCAST, src: station(TRUNK), tags: [{ vid: 100 }] }),
    expect: {
      verdict: "redirect",
      rx: { "3/100": 1 },
      tx: { "1/100": 1, "2/100": 1, "4/100": 1 },
      data: frame({ dst: BROADCAST, src: station(TRUNK) }),
    },
  },
  {
    title: "unknown unicast spares a port without flooding",
    prepare: port(ACCESS_B, { ...access(100), flood: false }),
    at: ACCESS_A,
    frame: between(ACCESS_A, 99),
    expect: { verdict: "redirect", rx: { "1/100": 1 }, tx: { "3/100": 1, "4/100": 1 } },
  },
  {
    title: "broadcast does not",
    prepare: port(ACCESS_B, { ...access(100), flood: false }),
    at: ACCESS_A,
    frame: frame({ dst: BROADCAST, src: station(ACCESS_A) }),
    expect: { verdict: "redirect", ...toBoth },
  },
  {
    title: "copies that may not go are counted where they were for, the rest go",
    prepare: all(
      port(ACCESS_A, { ...access(100), isolated: true }),
      port(ACCESS_B, { ...access(100), isolated: true }),
      port(HYBRID, { ...trunk("100", 300), up: false }),
    ),
    at: ACCESS_A,
    frame: frame({ dst: BROADCAST, src: station(ACCESS_A) }),
    expect: {
      verdict: "redirect",
      rx: { "1/100": 1 },
      tx: { "3/100": 1 },
      drops: { "2/isolated": 1, "4/port_down": 1 },
    },
  },
  {
    title: "a flooded frame is held against each member's MTU",
    prepare: all(port(ACCESS_B, { ...access(100), mtu: 9000 }), port(TRUNK, { ...trunk("100,200"), mtu: 2000 })),
    at: ACCESS_A,
    frame: frame({ dst: BROADCAST, src: station(ACCESS_A), payload: filler(3000) }),
    expect: {
      verdict: "redirect",
      rx: { "1/100": 1 },
      tx: { "2/100": 1 },
      drops: { "3/mtu": 1, "4/mtu": 1 },
    },
  },
  {
    title: "a copy for a device that is gone is counted, the rest go",
    prepare: (bench) => bench.port(ACCESS_B, { ifindex: 54321, ...access(100) }),
    at: ACCESS_A,
    frame: frame({ dst: BROADCAST, src: station(ACCESS_A) }),
    expect: { verdict: "redirect", rx: { "1/100": 1 }, tx: { "3/100": 1, "4/100": 1 }, drops: { "2/redirect": 1 } },
  },
  {
    title: "a flood list that is behind leaks into no other VLAN or switch",
    prepare: (bench) => bench.flood({ 100: { untagged: [OTHER_VLAN, OTHER_SWITCH, 9], tagged: [ACCESS_B, TRUNK] } }),
    at: ACCESS_A,
    frame: frame({ dst: BROADCAST, src: station(ACCESS_A) }),
    expect: {
      verdict: "redirect",
      rx: { "1/100": 1 },
      tx: { "2/100": 1, "3/100": 1 },
      drops: { "5/egress_vlan": 1, "6/egress_vlan": 1, "9/no_port": 1 },
    },
  },
  {
    title: "nobody else is in the VLAN",
    at: OTHER_SWITCH,
    frame: frame({ dst: BROADCAST, src: station(OTHER_SWITCH) }),
    expect: { verdict: "drop", rx: { "6/100": 1 }, drops: { "6/no_member": 1 } },
  },
  {
    title: "the VLAN has no flood list",
    prepare: async (bench) => {
      await bench.ns.bpf.remove(bench.map("flood"), Uint8Array.of(100, 0, 0, 0));
    },
    at: ACCESS_A,
    frame: between(ACCESS_A, 99),
    expect: { verdict: "drop", rx: { "1/100": 1 }, drops: { "1/no_member": 1 } },
  },
];

for (const row of rows) {
  for (const reason of Object.keys(row.expect.drops ?? {})) reached.add(reason.split("/")[1] ?? "");
  test(`table: ${row.title}`, async (t) => {
    const bench = await bed.bench(t);
    await row.prepare?.(bench);
    await expectRun(t, bench, bed.ifindex(row.at), row.frame, row.expect, row.gsoSize);
  });
}

test("the table reaches every drop reason", (t) => {
  t.deepEqual(
    DROP_REASONS.filter((reason) => reason !== "none" && !reached.has(reason)),
    [],
  );
});

for (let last = 0; last < 16; last++) {
  const dst = `01:80:c2:00:00:0${last.toString(16)}`;
  test(`${dst} is the host's, and nothing is learned from it`, async (t) => {
    const bench = await bed.bench(t);
    const before = await bench.fdb();
    await expectRun(t, bench, bed.ifindex(ACCESS_A), frame({ dst, src: station(60) }), { verdict: "host" });
    t.deepEqual(await bench.fdb(), before);
  });
}
