// What the status says of an uplink's NICs, for every way in which a NIC can be there or not.
import test from "ava";
import type { Link, LinkData } from "../../daemon/kernel/kernel.ts";
import { bondModeOf, memberStatuses } from "../../daemon/reconcile/members-report.ts";
import { vlanConfig } from "../peers/model-fixtures.ts";
import { link } from "../peers/simulate.ts";

const BOND = 10;
const bondLink = (data: LinkData = { mode: 1 }, alias = "portwright bond a"): Link =>
  link({ ifindex: BOND, name: "a-bo", kind: "bond", alias, data, up: true });
const nic = (fields: Partial<Link> = {}, memberData: LinkData = { state: 0, miiStatus: 0 }): Link =>
  link({ ifindex: 1, name: "nic0", master: BOND, up: true, carrier: true, memberData, ...fields });
const stateOf = (links: readonly Link[], uplink = "a-bo"): string | undefined =>
  memberStatuses(vlanConfig("a", ["nic0"]), uplink, links)[0]?.state;

test("the state of a NIC in a bond", (t) => {
  t.is(stateOf([bondLink(), nic()]), "active");
  t.is(stateOf([bondLink(), nic({}, { state: 1, miiStatus: 0 })]), "backup");
  t.is(stateOf([bondLink(), nic({}, { state: 1, miiStatus: 3 })]), "waiting", "updelay: BOND_LINK_BACK");
  t.is(stateOf([bondLink(), nic({ carrier: false })]), "no-carrier");
  t.is(stateOf([bondLink(), nic({ up: false, carrier: false })]), "down");
  t.is(stateOf([bondLink(), nic({ master: 0 }, {})]), "refused");
  t.is(stateOf([bondLink()]), "absent");
});

test("LACP: a member that does not collect and distribute yet waits; the partner is told of the aggregator in use", (t) => {
  const bond = bondLink({ mode: 4, adAggregator: 2, adPartnerMac: "02:00:00:00:00:77" });
  const member = (adActorPortState: number, adAggregator: number): Link =>
    nic({}, { state: 0, miiStatus: 0, adActorPortState, adAggregator });
  const told = (one: Link) => memberStatuses(vlanConfig("a", ["nic0"]), "a-bo", [bond, one])[0];
  t.like(told(member(0x0f, 2)), { state: "waiting", partner: "02:00:00:00:00:77" });
  t.like(told(member(0x3f, 2)), { state: "active", partner: "02:00:00:00:00:77" });
  t.like(told(member(0x3f, 1)), { partner: "" });
  const alone = bondLink({ mode: 4, adAggregator: 2, adPartnerMac: "00:00:00:00:00:00" });
  t.is(memberStatuses(vlanConfig("a", ["nic0"]), "a-bo", [alone, member(0x0f, 2)])[0]?.partner, "");
});

test("a bond of somebody else has no members of ours", (t) => {
  const links = [bondLink({ mode: 1 }, ""), nic()];
  t.is(stateOf(links, ""), "refused");
  t.is(bondModeOf("a", links), "");
  t.is(bondModeOf("a", [bondLink({ mode: 4 })]), "802.3ad");
});

test("without bonding the NIC is the uplink itself", (t) => {
  t.is(stateOf([nic({ master: 0 }, {})], "nic0"), "active");
  t.is(stateOf([nic({ master: 0, carrier: false }, {})], "nic0"), "no-carrier");
  t.is(stateOf([nic({ master: 0, up: false }, {})], "nic0"), "down");
  t.is(stateOf([nic({ master: 0 }, {})], ""), "refused");
});

test("names of the intent, real MACs, failures; one that could be several is absent; one that leaves has no name", (t) => {
  const mac = "02:00:00:00:00:05";
  const nics = [
    nic({ name: "eth5", mac: "02:ff:00:00:00:01" }, { state: 0, permanentMac: mac, linkFailureCount: 3 }),
    nic({ ifindex: 2, name: "old0" }, { state: 1 }),
    nic({ ifindex: 3, name: "x", master: 0, altNames: ["twin"] }, {}),
    nic({ ifindex: 4, name: "y", master: 0, altNames: ["twin"] }, {}),
  ];
  const told = memberStatuses(vlanConfig("a", [`mac:${mac}`, "twin"]), "a-bo", [bondLink(), ...nics]);
  t.like(told[0], { nic: `mac:${mac}`, device: "eth5", state: "active", mac, failures: 3 });
  t.like(told[1], { nic: "twin", device: "", state: "absent" });
  t.like(told[2], { nic: "", device: "old0", state: "backup" });
  t.is(told.length, 3);
  t.deepEqual(memberStatuses(undefined, "", nics), []);
});
