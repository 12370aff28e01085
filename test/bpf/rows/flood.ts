/** Rows of the table: broadcast, multicast, unknown destinations. */
import {
  ACCESS_A,
  ACCESS_B,
  all,
  between,
  HYBRID,
  OTHER_SWITCH,
  OTHER_VLAN,
  port,
  TRUNK,
  type Row,
} from "../../peers/bench-table.ts";
import { BROADCAST, filler, frame, station } from "../../peers/frames.ts";
import { access, trunk } from "../../peers/switch-bench.ts";

const UNKNOWN = station(99);
const GROUP = "01:00:5e:00:00:05";
const toBoth = { rx: { "1/100": 1 }, tx: { "2/100": 1, "3/100": 1, "4/100": 1 } };

export const flood: readonly Row[] = [
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
      port(HYBRID, { ...trunk("100", 300), open: false }),
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
