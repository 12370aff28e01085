/** Gateways by configuration: which addresses the host is asked for, what the container and the result get. */
import test from "ava";
import { NO_ROUTING, parseMasquerade, withGateways } from "../../daemon/attach/gateways.ts";
import { Fields } from "../../daemon/attach/decode.ts";
import type { JsonObject } from "../../daemon/safe-json.ts";
import type { CniRoute } from "../../daemon/attach/result.ts";
import { host, ipamConf, nothingLeft } from "../support/attach-checks.ts";
import { cni, kernelError } from "../support/attach-fakes.ts";

const GATEWAY = { gateway: true, defaultRoute: false, forceAddress: false };
const given = (addresses: readonly string[], routes: readonly CniRoute[] = []) => ({
  ips: addresses.map((address) => ({ address })),
  routes,
  dns: {},
});

test("a gateway is what IPAM says, else the first address of the subnet", (t) => {
  const { addressing, gateways } = withGateways(
    {
      ...given(["10.1.2.200/25", "fd00::9/64"]),
      ips: [...given(["10.1.2.200/25", "fd00::9/64"]).ips, { address: "10.3.0.9/24", gateway: "10.3.0.254" }],
    },
    GATEWAY,
  );
  t.deepEqual(
    addressing.ips.map(({ gateway }) => gateway),
    ["10.1.2.129", "fd00::1", "10.3.0.254"],
  );
  t.deepEqual(gateways, [
    { address: "10.1.2.129", prefixLength: 25 },
    { address: "fd00::1", prefixLength: 64 },
    { address: "10.3.0.254", prefixLength: 24 },
  ]);
  t.deepEqual(addressing.routes, []);
  t.deepEqual(withGateways(given(["10.1.2.200/25"]), NO_ROUTING).gateways, []);
});

test("the default route is added once a family, and IPAM's by a gateway stays the only one", (t) => {
  const all = { ...GATEWAY, defaultRoute: true };
  const routes = (addresses: readonly string[], from: readonly CniRoute[] = []) =>
    withGateways(given(addresses, from), all).addressing.routes;
  t.deepEqual(routes(["10.1.0.9/24", "10.2.0.9/24", "fd00::9/64"]), [
    { dst: "0.0.0.0/0", gw: "10.1.0.1" },
    { dst: "::/0", gw: "fd00::1" },
  ]);
  t.deepEqual(routes(["10.1.0.9/24"], [{ dst: "0.0.0.0/0", gw: "10.1.0.7" }]), [{ dst: "0.0.0.0/0", gw: "10.1.0.7" }]);
  t.is(routes(["10.1.0.9/24"], [{ dst: "0.0.0.0/0" }]).length, 2, "as the stock plugin: one without a gateway is none");
});

test("the workload's own address is no gateway", (t) => {
  t.throws(() => withGateways(given(["10.1.0.1/24"]), GATEWAY), { code: "GATEWAY_REFUSED" });
});

test("masquerading is nftables' or nobody's", (t) => {
  const parse = (conf: JsonObject) => parseMasquerade(new Fields(conf, "", "CNI_CONFIG"));
  t.true(parse({ ipMasq: true }));
  t.true(parse({ ipMasq: true, ipMasqBackend: "nftables" }));
  t.false(parse({ ipMasqBackend: "iptables" }), "nothing is asked for");
  t.throws(() => parse({ ipMasq: true, ipMasqBackend: "iptables" }), { code: "CNI_UNSUPPORTED_FIELD" });
  t.throws(() => parse({ ipMasq: true, ipMasqBackend: "ipset" }), { code: "CNI_CONFIG" });
});

test("the host is asked for the gateways; a layer 2 port has none", async (t) => {
  const fake = host(t);
  const service = await fake.started();
  fake.ipamResult = { ips: [{ address: "10.9.0.2/24" }], routes: [], dns: {} };
  const conf = { ...ipamConf, isDefaultGateway: true, forceAddress: true };
  const { json } = await cni(service, { command: "ADD", conf });
  t.deepEqual(fake.routed, [{ gateways: [{ address: "10.9.0.1", prefixLength: 24 }], forceAddress: true }]);
  t.deepEqual(json.ips, [{ address: "10.9.0.2/24", gateway: "10.9.0.1", interface: 2 }]);
  t.deepEqual(json.routes, [{ dst: "0.0.0.0/0", gw: "10.9.0.1" }]);
  t.deepEqual(json.interfaces[3], { name: "oob-br.100", mac: "02:00:00:00:00:0c" });
  t.deepEqual(service.list()[0]?.gateways, [{ address: "10.9.0.1", prefixLength: 24 }]);
  const bare = await cni(service, { command: "ADD", containerId: "c2", ifname: "eth1", conf: { ...conf, ipam: {} } });
  t.is(bare.exitCode, 0);
  t.is(fake.routed.length, 1);
});

test("a gateway that cannot be had undoes everything", async (t) => {
  const fake = host(t);
  const service = await fake.started();
  fake.onStep = (step) => {
    if (step === "gateway") throw kernelError("EPERM", 1, "address");
  };
  const reply = await cni(service, { command: "ADD", conf: { ...ipamConf, isGateway: true } });
  t.is(reply.exitCode, 1);
  nothingLeft(t, fake, service, "gateway");
});

test("what the workload sends is masqueraded before the ADD answers, and not after the DEL", async (t) => {
  const fake = host(t);
  const service = await fake.started();
  const conf = { ...ipamConf, ipMasq: true };
  await cni(service, { command: "ADD", conf });
  t.deepEqual([...fake.masqueraded], ["c1/eth0"]);
  await cni(service, { command: "DEL", netns: "", conf });
  t.deepEqual([...fake.masqueraded], []);
  await cni(service, { command: "ADD", conf: { ...conf, ipam: {} } });
  t.deepEqual([...fake.masqueraded], [], "there is nothing to masquerade on layer 2");
});

test("a kernel that cannot masquerade makes nothing half", async (t) => {
  const fake = host(t);
  const service = await fake.started();
  fake.onStep = (step) => {
    if (step === "masquerade") throw kernelError("EOPNOTSUPP", 95, "table");
  };
  t.is((await cni(service, { command: "ADD", conf: { ...ipamConf, ipMasq: true } })).exitCode, 1);
  nothingLeft(t, fake, service, "masquerade");
});
