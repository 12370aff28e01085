// The pure parts of the bridge datapath: which entries are written, what a port is told as, and what cannot be had.
import test from "ava";
import fc from "fast-check";
import { observedPort, portSettings, switchOf, unsupported } from "../../daemon/datapath/bridge/bridge-port.ts";
import { countByDomain, fdbEntries, sourceOf } from "../../daemon/datapath/bridge/bridge-fdb.ts";
import { portCounters } from "../../daemon/datapath/bridge/counters.ts";
import { entryChange, type Membership, membershipOf } from "../../daemon/datapath/bridge/vlan-entries.ts";
import type { LinkData } from "../../daemon/kernel/kernel.ts";
import { membership, type PortConfig, samePort } from "../../daemon/model/port.ts";
import { bridgeAlias } from "../../daemon/model/target.ts";
import { VlanSet } from "../../daemon/model/vlan-set.ts";
import { PLAIN_PORT } from "../peers/port-config.ts";
import { attachment, workloadLink } from "../peers/model-fixtures.ts";
import { link } from "../peers/simulate.ts";

/** What a port is born with on a young kernel. */
const BORN: LinkData = {
  ...{ state: 3, hairpin: false, learning: true, unicastFlood: true, mcastFlood: true, bcastFlood: true },
  ...{ mcastToUcast: false, proxyArp: false, proxyArpWifi: false, neighSuppress: false, vlanTunnel: false },
  ...{ groupFwdMask: 0, isolated: false, locked: false, number: 7 },
};
const NO_VLANS: Membership = { pvid: 0, allowed: VlanSet.empty, untagged: VlanSet.empty };
const access = (vlan: number): Membership => membership({ mode: "access", vlan }, 1);

/** The kernel's filter as br_vlan.c keeps it: an entry that is written has the flags of that message, and one is PVID. */
function write(found: Membership, { remove, set }: ReturnType<typeof entryChange>): Membership {
  let { pvid } = found;
  const untagged = new Map([...found.allowed].map((vid) => [vid, found.untagged.has(vid)]));
  for (const vid of VlanSet.fromRanges(remove)) {
    if (!untagged.delete(vid)) throw new Error(`ENOENT ${vid}`);
    if (vid === pvid) pvid = 0;
  }
  for (const range of set) {
    if (range.pvid && range.first !== range.last) throw new Error("EINVAL");
    for (const vid of VlanSet.fromRanges([range])) {
      untagged.set(vid, range.untagged);
      if (range.pvid) pvid = vid;
      else if (vid === pvid) pvid = 0;
    }
  }
  return membershipOf([...untagged].map(([vid, bare]) => ({ vid, untagged: bare, pvid: vid === pvid })));
}

const vid = fc.integer({ min: 1, max: 12 });
const anyMembership = fc
  .record({ allowed: fc.uniqueArray(vid), untagged: fc.uniqueArray(vid), pvid: vid })
  .map(({ allowed: vids, untagged, pvid }): Membership => {
    const allowed = VlanSet.from(vids);
    return { allowed, untagged: VlanSet.from(untagged).intersection(allowed), pvid: allowed.has(pvid) ? pvid : 0 };
  });
const same = (a: Membership, b: Membership) =>
  a.pvid === b.pvid && a.allowed.equals(b.allowed) && a.untagged.equals(b.untagged);

test("the entries that are written lead from any membership to any other, and to itself by nothing", (t) => {
  fc.assert(
    fc.property(anyMembership, anyMembership, (found, wanted) => {
      const change = entryChange(wanted, found);
      if (!same(write(found, change), wanted)) return false;
      return change.remove.length + change.set.length > 0 !== same(found, wanted);
    }),
    { numRuns: 2000 },
  );
  t.pass();
});

test("no entry is written that is right already", (t) => {
  const found = membership({ mode: "trunk", tagged: VlanSet.parse("100-200"), native: 5 }, 1);
  const wanted = membership({ mode: "trunk", tagged: VlanSet.parse("100-150,202"), native: 6 }, 1);
  t.deepEqual(entryChange(wanted, found), {
    remove: [
      { first: 5, last: 5 },
      { first: 151, last: 200 },
    ],
    set: [
      { first: 202, last: 202, pvid: false, untagged: false },
      { first: 6, last: 6, pvid: true, untagged: true },
    ],
  });
});

test("all VLANs are one range, and an access port is one entry", (t) => {
  const all = membership({ mode: "trunk", tagged: VlanSet.all, native: 0 }, 1);
  t.deepEqual(entryChange(all, NO_VLANS).set, [{ first: 1, last: 4094, pvid: false, untagged: false }]);
  t.deepEqual(entryChange(access(100), NO_VLANS).set, [{ first: 100, last: 100, pvid: true, untagged: true }]);
});

const a = attachment("a", "oob", { mode: "access", vlan: 100 });
const veth = (memberData: LinkData = BORN) => ({ ...workloadLink(5, a), master: 2, masterKind: "bridge", memberData });
const nic = link({ ifindex: 3, name: "nic0", master: 2, masterKind: "bridge", memberData: BORN });
const config = (more: Partial<PortConfig> = {}): PortConfig => ({
  ...PLAIN_PORT,
  datapath: "bridge",
  switchId: 1,
  ...access(100),
  ...more,
});

test("what a port was set to is what it is read as: nothing is left to write", (t) => {
  for (const isolated of [false, true])
    for (const hairpin of [false, true])
      for (const learn of [false, true])
        for (const flood of [false, true]) {
          const wanted = config({ isolated, hairpin, learn, flood });
          const settings = portSettings(wanted, veth());
          const after = veth({ ...BORN, ...settings?.memberData });
          const port = observedPort(after, 1, access(100));
          t.true(samePort(port.config, wanted) && port.attached);
          t.is(port.portId, 7);
          t.is(portSettings(wanted, after), null);
        }
});

test("an uplink, the bridge itself and a port of the host are told from a workload's", (t) => {
  t.like(observedPort(nic, 1, NO_VLANS).config, { kind: "nic", uplink: true, peer: false });
  const bond = link({ ifindex: 4, name: "oob-bo", kind: "bond", alias: "portwright bond oob", memberData: BORN });
  t.like(observedPort(bond, 1, NO_VLANS).config, { kind: "nic", uplink: true });
  const probe = link({ ifindex: 6, name: "oob-pp", kind: "veth", alias: "portwright probe oob", memberData: BORN });
  t.like(observedPort(probe, 1, NO_VLANS).config, { kind: "host", uplink: false, peer: false });
  const bridge = link({ ifindex: 2, name: "oob-br", kind: "bridge", alias: bridgeAlias("oob", 1) });
  t.is(switchOf(bridge), 1);
  t.is(switchOf({ ...bridge, alias: "" }), null);
  const self = config({ kind: "host", peer: false, ...access(7) });
  t.true(samePort(observedPort(bridge, 1, access(7)).config, self));
  t.is(portSettings(self, bridge), null);
});

test("a flag that somebody turned makes the port one to repair, unless this kernel has it not", (t) => {
  for (const [flag, value] of Object.entries({ hairpin: true, bcastFlood: false, locked: true, neighSuppress: true })) {
    const found = veth({ ...BORN, [flag]: value });
    const port = observedPort(found, 1, access(100));
    t.false(port.attached && samePort(port.config, config()), flag);
    t.deepEqual(portSettings(config(), found), { memberData: { [flag]: !value } });
  }
  const { locked: _locked, ...older } = BORN;
  t.true(observedPort(veth(older), 1, access(100)).attached);
  t.is(portSettings(config(), veth(older)), null);
});

test("what the kernel's bridge cannot do is told by name", (t) => {
  t.deepEqual(unsupported(config(), veth()), []);
  t.deepEqual(unsupported(config({ fdbLimit: 5 }), veth()), ["address limit 0 -> 5"]);
  t.deepEqual(unsupported(config({ kind: "nic", uplink: true, peer: false }), veth()), [
    "kind veth -> nic",
    "uplink off -> on",
    "peer delivery on -> off",
  ]);
  t.deepEqual(unsupported(config({ pvid: 101 }), veth()), ["PVID 0 -> 101"]);
  t.deepEqual(unsupported(config({ untagged: VlanSet.of(100, 101) }), veth()), ["untagged 100 -> 100-101"]);
});

const MINE = "02:00:00:00:00:01";

test("a port that is held to one source is locked and does not learn, and is read so if its address is there", (t) => {
  const wanted = config({ sourceMac: MINE });
  t.deepEqual(unsupported(wanted, veth()), []);
  const settings = portSettings(wanted, veth());
  t.deepEqual(settings, { memberData: { learning: false, locked: true } });
  const after = veth({ ...BORN, ...settings?.memberData });
  const port = observedPort(after, 1, access(100), MINE);
  t.true(samePort(port.config, wanted) && port.attached);
  t.is(portSettings(wanted, after), null);
  t.false(observedPort(after, 1, access(100)).attached, "its address is not there");
  t.deepEqual(portSettings(config(), after), { memberData: { learning: true, locked: false } });

  const held = { family: 7, address: "", ifindex: 5, mac: MINE, vlan: 100, state: 0x40, flags: 0x40 };
  const own = { ...held, mac: "02:00:00:00:00:99", state: 0x80, flags: 0 };
  const vids = VlanSet.of(100, 200);
  t.is(sourceOf([own, held, { ...held, vlan: 200 }], vids), MINE);
  t.is(sourceOf([own, held], vids), "", "a VLAN lacks it");
  t.is(sourceOf([held, { ...held, vlan: 200 }, { ...held, mac: "02:00:00:00:00:02" }], vids), "", "another may send");
  t.is(sourceOf([held, { ...held, vlan: 200, flags: 0 }], vids), "", "it can be moved");
  t.is(sourceOf([held, { ...held, vlan: 200, state: 2 }], vids), "", "it ages");
  t.is(sourceOf([own], vids), "");
});

test("a closed port is in no VLAN and is not flooded to", (t) => {
  const closed = config({ ...NO_VLANS, open: false });
  t.deepEqual(unsupported(closed, veth()), []);
  t.deepEqual(portSettings(closed, veth()), { memberData: { bcastFlood: false } });
  const after = veth({ ...BORN, bcastFlood: false });
  const port = observedPort(after, 1, NO_VLANS);
  t.true(samePort(port.config, closed) && port.attached);
  t.deepEqual(portSettings(config(), after), { memberData: { bcastFlood: true } });
  t.deepEqual(unsupported(config({ open: false }), veth()), [
    "PVID 0 -> 100",
    "VLANs none -> 100",
    "untagged none -> 100",
  ]);
  t.is(unsupported(config({ ...NO_VLANS, open: false, sourceMac: MINE }), veth()).length, 1);
});

test("addresses are those that a bridge of ours has learned or was given, by VLAN", (t) => {
  const of = { family: 7, address: "", flags: 0, vlan: 100, state: 2 };
  const entries = fdbEntries(
    [
      { ...of, ifindex: 5, mac: "02:00:00:00:00:05", updated: 12.5 },
      { ...of, ifindex: 5, mac: "02:00:00:00:00:06", state: 0x40, updated: 12.5 },
      { ...of, ifindex: 5, mac: "02:00:00:00:00:07", state: 0x80 }, // the port's own
      { ...of, ifindex: 5, mac: "33:33:00:00:00:01", flags: 2 }, // a filter of the device
      { ...of, ifindex: 9, mac: "02:00:00:00:00:09" }, // a stranger's bridge
    ],
    new Map([[5, 1]]),
  );
  t.deepEqual(entries, [
    { mac: "02:00:00:00:00:05", switchId: 1, vlan: 100, ifindex: 5, isStatic: false, age: 12.5 },
    { mac: "02:00:00:00:00:06", switchId: 1, vlan: 100, ifindex: 5, isStatic: true, age: 0 },
  ]);
  t.deepEqual(countByDomain(entries), [{ switchId: 1, vlan: 100, entries: 2 }]);
});

test("counters are by VLAN where the bridge counts so at each port, else of a port's only VLAN", (t) => {
  const counted = { rxPackets: 1, rxBytes: 60, txPackets: 2, txBytes: 120 };
  const bridge = (perPort: boolean) =>
    link({ ifindex: 2, name: "oob-br", kind: "bridge", data: { vlanStatsPerPort: perPort } });
  const stats = [100, 200].map((of) => ({ ...counted, ifindex: 5, vid: of }));
  const ports = [observedPort(veth(), 1, access(100))];
  const big = { rxPackets: 1n, rxBytes: 60n, txPackets: 2n, txBytes: 120n };
  const read = (perPort: boolean) =>
    portCounters({ ports, links: [bridge(perPort), veth()], stats, entries: [] })[0]?.vlans;
  t.deepEqual(read(true), [{ vlan: 100, ...big }]);
  const zero = { rxPackets: 0n, rxBytes: 0n, txPackets: 0n, txBytes: 0n };
  t.deepEqual(read(false), [{ vlan: 100, ...zero }]);
});
