/** Rows of the table: what a port can be asked beyond its VLANs: the gate, the check of sources, the way back. */
import {
  ACCESS_A,
  ACCESS_B,
  all,
  between,
  OTHER_SWITCH,
  OTHER_VLAN,
  port,
  type Row,
  TRUNK,
} from "../../peers/bench-table.ts";
import { BROADCAST, frame, station } from "../../peers/frames.ts";
import { access, trunk } from "../../peers/switch-bench.ts";

const A_ONLY = { ...access(100), sourceMac: station(ACCESS_A) };
const TRUNK_ONLY = { ...trunk("100,200"), sourceMac: station(TRUNK) };
const HAIRPIN = { ...access(100), hairpin: true };
const LLDP = "01:80:c2:00:00:0e";
/** Seen on ACCESS_A, beside its own. */
const BESIDE = station(50);
const TAGGED_200 = { tags: [{ vid: 200 }] };

export const features: readonly Row[] = [
  {
    title: "a closed port is in nobody's way: what is flooded reaches the others",
    prepare: port(ACCESS_B, { ...access(100), open: false }),
    at: ACCESS_A,
    frame: frame({ src: station(ACCESS_A), dst: BROADCAST }),
    expect: {
      verdict: "redirect",
      rx: { "1/100": 1 },
      tx: { "3/100": 1, "4/100": 1 },
      drops: { "2/port_down": 1 },
      data: frame({ src: station(ACCESS_A), dst: BROADCAST, tags: [] }),
    },
  },
  // -- sources
  {
    title: "a port of one source takes frames from it",
    prepare: port(ACCESS_A, A_ONLY),
    at: ACCESS_A,
    frame: between(ACCESS_A, ACCESS_B),
    expect: { verdict: "redirect", rx: { "1/100": 1 }, tx: { "2/100": 1 } },
  },
  ...[station(ACCESS_B), BESIDE, "02:00:00:00:01:01", "03:00:00:00:00:01"].map(
    (src): Row => ({
      title: `a port of one source takes none from ${src}`,
      prepare: port(ACCESS_A, A_ONLY),
      at: ACCESS_A,
      frame: frame({ src, dst: station(TRUNK) }),
      expect: { verdict: "drop", drops: { [src.startsWith("03") ? "1/bad_source" : "1/spoofed"]: 1 } },
    }),
  ),
  {
    title: "a port of one source floods for nobody else",
    prepare: port(ACCESS_A, A_ONLY),
    at: ACCESS_A,
    frame: frame({ src: BESIDE, dst: BROADCAST }),
    expect: { verdict: "drop", drops: { "1/spoofed": 1 } },
  },
  {
    title: "the host hears no LLDP of a source that is not the port's",
    prepare: port(ACCESS_A, A_ONLY),
    at: ACCESS_A,
    frame: frame({ src: BESIDE, dst: LLDP }),
    expect: { verdict: "drop", drops: { "1/spoofed": 1 } },
  },
  {
    title: "the host hears LLDP of the source that is the port's",
    prepare: port(ACCESS_A, A_ONLY),
    at: ACCESS_A,
    frame: frame({ src: station(ACCESS_A), dst: LLDP }),
    expect: { verdict: "host" },
  },
  {
    title: "frames to a port of one source may come from anybody",
    prepare: port(ACCESS_A, A_ONLY),
    at: ACCESS_B,
    frame: frame({ src: BESIDE, dst: station(ACCESS_A) }),
    expect: { verdict: "redirect", rx: { "2/100": 1 }, tx: { "1/100": 1 } },
  },
  {
    title: "a trunk of one source takes it in each of its VLANs",
    prepare: port(TRUNK, TRUNK_ONLY),
    at: TRUNK,
    frame: between(TRUNK, OTHER_VLAN, TAGGED_200),
    expect: {
      verdict: "redirect",
      rx: { "3/200": 1 },
      tx: { "5/200": 1 },
      data: between(TRUNK, OTHER_VLAN),
    },
  },
  {
    title: "a trunk of one source takes no other in any of its VLANs",
    prepare: port(TRUNK, TRUNK_ONLY),
    at: TRUNK,
    frame: frame({ src: BESIDE, dst: station(OTHER_VLAN), ...TAGGED_200 }),
    expect: { verdict: "drop", drops: { "3/spoofed": 1 } },
  },
  {
    title: "a frame of another source in another VLAN counts once",
    prepare: port(TRUNK, TRUNK_ONLY),
    at: TRUNK,
    frame: frame({ src: BESIDE, dst: station(OTHER_VLAN), tags: [{ vid: 300 }] }),
    expect: { verdict: "drop", drops: { "3/vlan_not_allowed": 1 } },
  },
  // -- hairpin
  {
    title: "a hairpin takes a frame back out of the port that it came in by",
    prepare: all(port(ACCESS_A, HAIRPIN), (bench) => bench.setFdb(BESIDE, 100, { portId: ACCESS_A })),
    at: ACCESS_A,
    frame: frame({ src: station(ACCESS_A), dst: BESIDE }),
    expect: { verdict: "redirect", rx: { "1/100": 1 }, tx: { "1/100": 1 } },
  },
  {
    title: "what a hairpin floods comes back, too",
    prepare: port(ACCESS_A, HAIRPIN),
    at: ACCESS_A,
    frame: frame({ src: station(ACCESS_A), dst: BROADCAST }),
    expect: {
      verdict: "redirect",
      rx: { "1/100": 1 },
      tx: { "1/100": 1, "2/100": 1, "3/100": 1, "4/100": 1 },
    },
  },
  {
    title: "a hairpin that takes no unknown unicast does not take back its own",
    prepare: port(ACCESS_A, { ...HAIRPIN, flood: false }),
    at: ACCESS_A,
    frame: frame({ src: station(ACCESS_A), dst: BESIDE }),
    expect: { verdict: "redirect", rx: { "1/100": 1 }, tx: { "2/100": 1, "3/100": 1, "4/100": 1 } },
  },
  {
    title: "a hairpin alone in its VLAN hears itself",
    prepare: port(OTHER_SWITCH, { ...HAIRPIN, switchId: 1 }),
    at: OTHER_SWITCH,
    frame: frame({ src: station(OTHER_SWITCH), dst: BROADCAST }),
    expect: { verdict: "redirect", rx: { "6/100": 1 }, tx: { "6/100": 1 } },
  },
  {
    title: "an isolated hairpin does not reach itself, as in the kernel's bridge",
    prepare: all(port(ACCESS_A, { ...HAIRPIN, isolated: true }), (bench) =>
      bench.setFdb(BESIDE, 100, { portId: ACCESS_A }),
    ),
    at: ACCESS_A,
    frame: frame({ src: station(ACCESS_A), dst: BESIDE }),
    expect: { verdict: "drop", rx: { "1/100": 1 }, drops: { "1/isolated": 1 } },
  },
  {
    title: "a hairpin trunk turns a frame round in its VLAN, with its tag",
    prepare: all(port(TRUNK, { ...trunk("100,200"), hairpin: true }), (bench) =>
      bench.setFdb(BESIDE, 200, { portId: TRUNK }),
    ),
    at: TRUNK,
    frame: frame({ src: station(TRUNK), dst: BESIDE, ...TAGGED_200 }),
    expect: { verdict: "redirect", rx: { "3/200": 1 }, tx: { "3/200": 1 } },
  },
];
