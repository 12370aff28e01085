// What a port can be made of: how it is asked for, what its links are called, and links of others that are given back.
import test from "ava";
import fc from "fast-check";
import { parseNetConf } from "../../daemon/attach/netconf.ts";
import { PortwrightError } from "../../daemon/errors.ts";
import { borrow, borrowed, giveBack } from "../../daemon/links/borrowed.ts";
import { borrowFault, isBorrowed, parseBorrowed } from "../../daemon/model/borrowed.ts";
import { compile } from "../../daemon/model/compile.ts";
import { diff } from "../../daemon/model/diff.ts";
import { hostNameFault } from "../../daemon/model/names.ts";
import { isAdopted, isOurs } from "../../daemon/model/target.ts";
import { hostInterfaceName, hostInterfaceOf, innerEndName } from "../../daemon/reconcile/workload-names.ts";
import { address, attachment, input, intent, vlanConfig } from "../peers/model-fixtures.ts";
import { link, set, simulate } from "../peers/simulate.ts";

const CONF = { cniVersion: "1.0.0", name: "net", type: "portwright", bridge: "oob-br", vlan: 100 };
const parse = (more: object) => parseNetConf({ ...CONF, ...more }, "", { networks: new Map() }).port.device;
const NO_TAP = { queues: 1, owner: null, group: null };

test("a device is asked for by its kind; managedTap is another word for a tap in the pod", (t) => {
  t.deepEqual(parse({}), { kind: "veth" });
  t.deepEqual(parse({ managedTap: false, device: { kind: "veth" } }), { kind: "veth" });
  t.deepEqual(parse({ managedTap: true }), { kind: "inner-tap", tap: NO_TAP });
  const tap = { queues: 4, owner: 107, group: 36 };
  t.deepEqual(parse({ managedTap: true, device: { kind: "inner-tap", ...tap } }), { kind: "inner-tap", tap });
  t.deepEqual(parse({ device: { kind: "tap", ...tap } }), { kind: "tap", name: "", tap });
  t.deepEqual(parse({ device: { kind: "tap", name: "vm1" } }), { kind: "tap", name: "vm1", tap: NO_TAP });
  t.deepEqual(parse({ device: { kind: "existing", name: "tap7" } }), { kind: "existing", name: "tap7" });
});

test("an existing device without a name is the one interface of prevResult on the host", (t) => {
  const device = { kind: "existing" };
  const prevResult = (...interfaces: object[]) => ({ prevResult: { cniVersion: "1.0.0", interfaces } });
  const inside = { name: "eth0", sandbox: "/run/netns/a" };
  t.like(parse({ device, ...prevResult({ name: "tap7" }, inside) }), { name: "tap7" });
  t.like(parse({ device, ...prevResult({ name: "tap7" }, { name: "oob-br" }) }), { name: "tap7" }, "as CHECK sees it");
  for (const [interfaces, found] of [
    [[], "none"],
    [[inside], "none"],
    [[{ name: "tap7" }, { name: "tap8" }], "tap7, tap8"],
  ] as const)
    t.throws(() => parse({ device, ...prevResult(...interfaces) }), {
      message: new RegExp(`on the host but ${found}`),
    });
});

for (const [what, more, message] of [
  [
    "a kind that there is not",
    { device: { kind: "macvtap" } },
    /device\.kind must be one of veth, inner-tap, tap, existing/,
  ],
  ["no kind", { device: {} }, /device\.kind must be one of/],
  ["queues of a veth", { device: { kind: "veth", queues: 2 } }, /device\.queues has no meaning for kind veth/],
  ["a name in a pod", { device: { kind: "inner-tap", name: "a" } }, /device\.name has no meaning for kind inner-tap/],
  ["too many queues", { device: { kind: "tap", queues: 257 } }, /device\.queues must be a whole number 1-256/],
  ["the owner -1", { device: { kind: "tap", owner: -1 } }, /device\.owner must be a whole number/],
  ["a name of ours", { device: { kind: "tap", name: "x-br" } }, /of a form that links of the daemon's own have/],
  ["another kind than managedTap's", { managedTap: true, device: { kind: "tap" } }, /contradicts managedTap/],
  ["IPAM for a VM", { managedTap: true, ipam: { type: "static" } }, /ipam cannot stand beside device\.kind inner-tap/],
] as const) {
  test(`refused: ${what}`, (t) => {
    const error = t.throws(() => parse(more), { instanceOf: PortwrightError, message });
    t.is(error.code, "CNI_CONFIG");
  });
}

test("names of links on the host: as asked for, else derived; never one that a link of ours could have", (t) => {
  const tap = NO_TAP;
  t.is(hostInterfaceOf("a/eth0", { kind: "veth" }), hostInterfaceName("a/eth0"));
  t.is(hostInterfaceOf("a/eth0", { kind: "tap", name: "", tap }), hostInterfaceName("a/eth0"));
  t.is(hostInterfaceOf("a/eth0", { kind: "tap", name: "vm1", tap }), "vm1");
  t.is(hostInterfaceOf("a/eth0", { kind: "existing", name: "tap7" }), "tap7");
  t.is(innerEndName("a/eth0").length, 15);
  t.is(innerEndName("a/eth0").slice(2), hostInterfaceName("a/eth0").slice(2));
  for (const name of [
    "oob-br",
    "oob-br.100",
    "oob-bo",
    "oob-pp",
    "oob-pi",
    "oob-h.7",
    hostInterfaceName("x"),
    innerEndName("x"),
  ])
    t.not(hostNameFault(name), null, name);
  for (const name of ["vm1-net0", "tap0", "pwned", "a.b", "web-brown"]) t.is(hostNameFault(name), null, name);
  for (const name of ["a%d", "", "sixteen-bytes-ab", "a/b"]) t.not(hostNameFault(name), null, name);
});

test("whatever a link was, it is so again when it is given back", (t) => {
  const of = attachment("vm/tap7", "oob", { mode: "access", vlan: 100 });
  fc.assert(
    fc.property(
      fc.boolean(),
      fc.boolean(),
      fc.integer({ min: 68, max: 9000 }),
      fc
        .string({ maxLength: 100 })
        .filter((alias) => !isOurs({ alias }) && !isAdopted({ alias }) && !isBorrowed({ alias })),
      (up, noArp, mtu, alias) => {
        const before = link({ ifindex: 7, name: "tap7", up, mtu, alias, flags: noArp ? 0x80 : 0 });
        const wanted = borrowed(of, before, 1500);
        const used = set(before, borrow(wanted, before));
        t.like(used, { up: true, mtu: 1500 });
        t.false(isOurs(used));
        t.deepEqual(borrow(borrowed(of, used, 1500), used), {}, "a second look changes nothing");
        t.deepEqual(set(used, giveBack(used)?.after ?? {}), before);
      },
    ),
  );
  t.is(parseBorrowed("portwright-borrowed nonsense"), null);
});

const UPLINK = vlanConfig("oob", ["nic0"]);
const BRIDGE = link({ ifindex: 3, name: "oob-br", kind: "bridge", alias: "portwright bridge oob switch 0" });

test("what belongs to somebody cannot be borrowed", (t) => {
  const world = {
    links: [BRIDGE, link({ ifindex: 4, name: "br7", kind: "bridge" })],
    addresses: [address(9, "192.0.2.1"), address(8, "fe80::1", 64)],
    intent: intent(["oob"], [UPLINK]),
  };
  const fault = (more: Partial<Parameters<typeof link>[0]>) =>
    borrowFault(link({ ifindex: 8, name: "tap7", kind: "tun", ...more }), 1500, world);
  t.is(fault({}), null, "a link-local address is nobody's");
  t.regex(fault({ ifindex: 9 }) ?? "", /has the address 192\.0\.2\.1\/24/);
  t.regex(fault({ master: 4, masterKind: "bridge" }) ?? "", /belongs to bridge br7/);
  t.is(
    fault({ master: 3, alias: "portwright-borrowed up arp 1500 for vm/tap7" }),
    null,
    "a port of the kernel's bridge",
  );
  t.regex(fault({ name: "nic0", kind: "" }) ?? "", /is a NIC of VlanConfig/);
  t.regex(fault({ alias: "portwright port oob n a/eth0" }) ?? "", /belongs to the daemon itself/);
  t.regex(fault({ alias: "portwright-adopted bond oob" }) ?? "", /belongs to the daemon itself/);
  t.regex(fault({ maxMtu: 1400 }) ?? "", /carries an MTU of 1400 at most, not 1500/);
  t.is(fault({ maxMtu: 1400, alias: "portwright-borrowed up arp 1500 for vm/tap7" }), null, "in use, it stays in use");
  t.regex(fault({ flags: 8, kind: "" }) ?? "", /loopback/);
  t.regex(fault({ alias: "x".repeat(200) }) ?? "", /too long/);
});

test("a round borrows a link that comes back, lets one go that nobody wants, and says what it waits for", (t) => {
  const vm = attachment(
    "vm/tap7",
    "oob",
    { mode: "access", vlan: 100 },
    {
      device: { kind: "existing", name: "tap7" },
      hostInterface: "tap7",
      netnsPath: "",
    },
  );
  const nic = link({ ifindex: 2, name: "nic0", up: true, flags: 0x100 });
  const its = link({ ifindex: 9, name: "tap7", kind: "tun", alias: "of QEMU", mtu: 1400 });
  const wanting = intent(["oob"], [UPLINK]);
  const round = (links: Parameters<typeof simulate>[1]["links"], attachments: readonly (typeof vm)[]) => {
    const state = { links, addresses: [], ports: [] };
    const { target } = compile(input({ intent: wanting, attachments, ...state }));
    return { target, plan: diff(target, state), state };
  };
  const first = round([nic, its], [vm]);
  const after = simulate(first.plan, first.state);
  t.like(
    after.links.find(({ name }) => name === "tap7"),
    { up: true, mtu: 1500 },
  );
  t.is(after.ports.length, 2);
  const again = compile(input({ intent: wanting, attachments: [vm], ...after }));
  t.deepEqual(diff(again.target, after).steps, [], "a second round does nothing");

  const without = compile(input({ intent: wanting, attachments: [], ...after }));
  const back = simulate(diff(without.target, after), after);
  t.deepEqual(
    back.links.find(({ name }) => name === "tap7"),
    its,
  );
  t.is(back.ports.length, 1);

  t.like(round([nic], [vm]).target.conditions, [{ code: "DEVICE_ABSENT", object: "Attachment/vm/tap7" }]);
  t.like(round([nic, BRIDGE, { ...its, master: 77 }], [vm]).target.conditions, [{ code: "DEVICE_REFUSED" }]);
});

test("a link that is in use stays a port when somebody wants it for something else, and that is said", (t) => {
  const more = { device: { kind: "existing", name: "eth7" }, hostInterface: "eth7", netnsPath: "" } as const;
  const vm = attachment("vm/eth7", "oob", { mode: "access", vlan: 100 }, more);
  const nic = link({ ifindex: 2, name: "nic0", up: true, flags: 0x100 });
  const alias = "portwright-borrowed up arp 1500 for vm/eth7";
  const its = link({ ifindex: 9, name: "eth7", up: true, alias, flags: 0x80 });
  const state = { links: [nic, its], addresses: [address(9, "192.0.2.1")], ports: [] };
  const named = compile(input({ intent: intent(["oob"], [UPLINK]), attachments: [vm], ...state })).target;
  t.deepEqual([...named.ports.keys()].toSorted(), ["eth7", "nic0"]);
  t.like(named.conditions, [{ code: "DEVICE_REFUSED", message: "eth7 has the address 192.0.2.1/24" }]);
  const uplink = intent(["oob"], [vlanConfig("oob", ["eth7"])]);
  const { target } = compile(input({ intent: uplink, attachments: [vm], ...state, addresses: [] }));
  t.deepEqual([...target.ports.keys()], ["eth7"]);
  t.false(target.ports.get("eth7")?.config.uplink);
  t.deepEqual(target.conditions.map(({ code }) => code).toSorted(), ["DEVICE_REFUSED", "NIC_SHARED"]);
});
