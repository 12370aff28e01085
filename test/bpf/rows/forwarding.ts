/** Rows of the table: where a frame goes, and in which form. */
import { ACCESS_A, ACCESS_B, between, HYBRID, OTHER_VLAN, TRUNK, type Row } from "../../peers/bench-table.ts";
import { station, TPID_8021AD } from "../../peers/frames.ts";
import { trunk } from "../../peers/switch-bench.ts";

const A_TO_B = between(ACCESS_A, ACCESS_B);

export const forwarding: readonly Row[] = [
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
    prepare: (bench, bed) => bench.port(TRUNK, { ifindex: bed.ifindex(TRUNK), ...trunk("300") }),
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
];
