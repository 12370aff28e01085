/** Rows of the table: frames that are dropped, by reason. */
import {
  ACCESS_A,
  ACCESS_B,
  all,
  between,
  OTHER_SWITCH,
  OTHER_VLAN,
  port,
  TRUNK,
  type Row,
} from "../../peers/bench-table.ts";
import { BROADCAST, frame, station } from "../../peers/frames.ts";
import { access } from "../../peers/switch-bench.ts";

const A_TO_B = between(ACCESS_A, ACCESS_B);

export const refused: readonly Row[] = [
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
    prepare: port(ACCESS_A, { ...access(100), open: false }),
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
    prepare: port(ACCESS_B, { ...access(100), open: false }),
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
];
