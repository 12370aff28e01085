// Gateways in the target: whose interface they are on, when they stay, and what is in the way of one more.
import fc from "fast-check";
import test from "ava";
import { compile } from "../../daemon/model/compile.ts";
import { gatewaysByVlan, isInTheWay } from "../../daemon/model/gateways.ts";
import { VlanSet } from "../../daemon/model/vlan-set.ts";
import { attachment, hostNetwork, input, intent } from "../peers/model-fixtures.ts";

const gateway = (text: string) => {
  const [address = "", length] = text.split("/");
  return { address, prefixLength: Number(length) };
};
const routed = (id: string, vlan: number, ...gateways: readonly string[]) =>
  attachment(id, "oob", vlan === 0 ? { mode: "untagged" } : { mode: "access", vlan }, {
    gateways: gateways.map(gateway),
  });

test("one IPv4 subnet an interface; IPv6 subnets that do not overlap", (t) => {
  const cases: readonly [string, string, boolean][] = [
    ["10.1.0.5/24", "10.1.0.1/24", false],
    ["10.2.0.1/24", "10.1.0.1/24", true],
    ["10.1.0.1/16", "10.1.0.1/24", true],
    ["10.2.0.1/24", "fd00::1/64", false],
    ["fd01::1/64", "fd00::1/64", false],
    ["fd00::1/48", "fd00::1/64", true],
    ["fd00::7/64", "fd00::1/64", false],
    ["fe80::1/64", "fd00::1/64", false],
  ];
  for (const [other, one, expected] of cases)
    t.is(isInTheWay(gateway(other), gateway(one)), expected, `${other} ${one}`);
});

test("what is in the way of the other has the other in its way", (t) => {
  const subnet = fc.tuple(fc.integer({ min: 0, max: 3 }), fc.integer({ min: 1, max: 9 }), fc.constantFrom(16, 24));
  const text = ([net, host, length]: [number, number, number]) => `10.${net}.0.${host}/${length}`;
  fc.assert(
    fc.property(
      subnet,
      subnet,
      (a, b) => isInTheWay(gateway(text(a)), gateway(text(b))) === isInTheWay(gateway(text(b)), gateway(text(a))),
    ),
  );
  t.pass();
});

test("gateways are wanted by VLAN, each address once; untagged ports are in the native VLAN", (t) => {
  const trunk = attachment(
    "t",
    "oob",
    { mode: "trunk", tagged: VlanSet.of(7), native: 100 },
    { gateways: [gateway("10.1.0.1/24")] },
  );
  const found = gatewaysByVlan(
    [routed("a", 100, "10.1.0.1/24"), trunk, routed("b", 0, "10.2.0.1/24"), routed("c", 5)],
    1,
  );
  t.deepEqual([...found.keys()], [100, 1]);
  t.is(found.get(100)?.length, 1);
});

test("the interface of a gateway is that of the HostNetworkConfig of its VLAN, and has both addresses", (t) => {
  const here = intent(["oob"], [], [], [hostNetwork("oob", 100, "10.1.0.5")]);
  const attachments = [routed("a", 100, "10.1.0.1/24"), routed("b", 200, "10.2.0.1/24")];
  const { target } = compile(input({ intent: here, attachments }));
  t.deepEqual(
    target.addresses.get("oob-br.100")?.map(({ address }) => address),
    ["10.1.0.5", "10.1.0.1"],
  );
  t.deepEqual(
    target.addresses.get("oob-br.200")?.map(({ address }) => address),
    ["10.2.0.1"],
  );
  t.true(target.links.has("oob-h.200"));
  t.true(target.ports.has("oob-h.200"));
});

test("on the kernel's bridge a gateway is an 802.1Q device, and the bridge is in its VLAN", (t) => {
  const switching = { datapath: "bridge", vlanFiltering: true, vlanLinks: true, hostKey: "k" } as const;
  const attachments = [routed("a", 100, "10.1.0.1/24")];
  const { target } = compile(input({ intent: intent(["oob"]), attachments, switching }));
  t.is(target.links.get("oob-br.100")?.kind, "vlan");
  t.true(target.ports.get("oob-br")?.config.allowed.has(100));
});

test("gateways of workloads that went stay while they linger", (t) => {
  const lingering = [routed("a", 100, "10.1.0.1/24")];
  t.true(compile(input({ intent: intent(["oob"]), lingering })).target.addresses.has("oob-br.100"));
  t.false(compile(input({ intent: intent(["oob"]) })).target.addresses.has("oob-br.100"));
});
