// Bridges that are not managed, with the real daemon, frames, and the stock plugin beside it: the same options, the same
// bridge, the same result; what stays, what goes, and what the stock plugin leaves open.
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import test from "ava";
import { runCni } from "../../daemon/demo/container-runtime.ts";
import type { LabHost } from "../../daemon/demo/lab.ts";
import { pings } from "../support/host-network.ts";
import { stockBridge } from "../support/stock-bridge.ts";
import { OOB, type Pod, staticIpam, TestHost } from "../support/test-host.ts";
import { until } from "../support/until.ts";

const run = promisify(execFile);
const ip = async (host: Pick<LabHost, "path">, ...args: string[]) =>
  (await run("nsenter", [`--net=${host.path}`, "ip", ...args])).stdout.trim();
const refused = async (adding: Promise<Pod>): Promise<string> => {
  try {
    await adding;
  } catch (error) {
    return (error as Error).message;
  }
  return "it was not";
};
const check = (h: TestHost, { call, result }: Pod) =>
  runCni(h.runtime, { ...call, command: "CHECK", netconf: { ...call.netconf, prevResult: result } });

test("the bridge is made, serves as a gateway, and stays when its ports are gone", async (t) => {
  const h = await TestHost.start(t, { intent: OOB() });
  const conf = { bridge: "cni7", isDefaultGateway: true };
  const a = await h.add("a", { ...conf, ...staticIpam("10.7.0.9/24") });
  const bridge = await h.host.namespace.link({ name: "cni7" });
  const b = await h.add("b", { ...conf, ...staticIpam("10.7.0.10/24") });
  t.true(await pings(a.host, "10.7.0.1"));
  t.true(await pings(a.host, "10.7.0.10"));
  await check(h, a);
  await h.daemon.stop();
  await h.start();
  t.true(await pings(a.host, "10.7.0.10"), "neither a restart nor its first round touches the ports");
  await check(h, a);
  await h.del(a);
  await runCni(h.runtime, { ...b.call, command: "DEL", netnsPath: "" });
  const links = await h.host.namespace.links();
  const left = links.find(({ name }) => name === "cni7");
  t.is(left?.mac, bridge?.mac, "its MAC is its own");
  t.deepEqual(
    links.filter(({ master }) => master === left?.ifindex),
    [],
  );
  t.regex(await ip(h.host, "address", "show", "cni7"), /10\.7\.0\.1\/24/);
  t.is(await h.host.namespace.link({ name: "oob-h.1" }), null);
});

test("options of a port are the kernel's", async (t) => {
  const h = await TestHost.start(t, { intent: OOB() });
  const options = { mtu: 1400, portIsolation: true, hairpinMode: true };
  const pod = await h.add("pod", { bridge: "cni7", ...options });
  const port = await h.host.namespace.link({ name: pod.result.interfaces[1]?.name ?? "" });
  t.like(port, { mtu: 1400, memberData: { isolated: true, hairpin: true } });
  t.is((await h.host.namespace.link({ name: "cni7" }))?.mtu, 1400);
  await check(h, pod);
  await h.host.namespace.changeLink({ ifindex: port?.ifindex ?? 0 }, { memberData: { isolated: false } });
  await t.throwsAsync(check(h, pod), { message: /is not isolated/ });
  await h.add("second", { bridge: "cni8", promiscMode: true });
  t.is((await h.host.namespace.link({ name: "cni8" }))?.promiscuity, 1);
});

test("what the kernel cannot do, and what is no bridge, is refused, and nothing is left", async (t) => {
  const h = await TestHost.start(t, { intent: OOB() });
  await ip(h.host, "link", "add", "taken", "type", "veth", "peer", "name", "taken1");
  const before = (await h.host.namespace.links()).length;
  t.regex(await refused(h.add("a", { bridge: "taken" })), /"code":103.*no bridge/);
  t.regex(await refused(h.add("b", { bridge: "typo-br" })), /"code":100/);
  t.regex(await refused(h.add("c", { bridge: "cni7", gated: true })), /"code":103.*gated/);
  t.is((await h.host.namespace.links()).length, before);
});

test("ports that a crash left, half-made or not, are found again and removed", async (t) => {
  const h = await TestHost.start(t, { intent: OOB() });
  const sample = await h.add("sample", { bridge: "cni7" });
  await h.del(sample);
  const pods = Array.from({ length: 6 }, (_, i) => `crash${i}`);
  const adding = pods.map(async (name) => await h.add(name, { bridge: "cni7" }).catch(() => null));
  await until(async () => (await h.host.namespace.links()).some(({ alias }) => alias.startsWith("portwright-local")));
  process.kill(h.daemon.pid, "SIGKILL");
  await h.daemon.stop();
  await h.start();
  await Promise.all(adding);
  const locals = async () =>
    (await h.host.namespace.links()).filter(({ name, kind }) => kind === "veth" && name.startsWith("pw"));
  // A runtime deletes what it asked for, also where it got no answer.
  for (const name of pods) {
    await runCni(h.runtime, { ...sample.call, command: "DEL", containerId: name, netnsPath: "" });
  }
  t.deepEqual(await locals(), []);
});

test("source addresses are checked by the bridge itself", async (t) => {
  const h = await TestHost.start(t, { intent: OOB() });
  const honest = await h.add("honest", { bridge: "cni7", macspoofchk: true, ...staticIpam("10.7.0.9/24") });
  const other = await h.add("other", { bridge: "cni7", ...staticIpam("10.7.0.10/24") });
  t.true(await pings(honest.host, "10.7.0.10"));
  await check(h, honest);
  await ip(honest.host, "link", "set", "eth0", "address", "02:00:00:00:99:99");
  await ip(other.host, "neigh", "flush", "all");
  t.false(await pings(honest.host, "10.7.0.10"));
});

for (const [name, conf] of Object.entries({
  "layer 2": {},
  gateway: { isDefaultGateway: true, ...staticIpam("10.7.0.9/24") },
  masquerade: { isGateway: true, ipMasq: true, ...staticIpam("10.7.0.9/24") },
  "options of ports": { mtu: 1400, hairpinMode: true },
})) {
  test(`as the stock plugin does: ${name}`, async (t) => {
    const h = await TestHost.start(t, { intent: OOB() });
    const stock = await h.lab.host("stock");
    const peer = await h.lab.host("peer");
    const theirs = await stockBridge(stock, {
      ...{ command: "ADD", name: "pod", netns: peer.path },
      netconf: { bridge: "cni7", ...conf },
    });
    const ours = await h.add("pod", { bridge: "cni7", ...conf });
    t.deepEqual(shape(ours.result), shape(theirs));
    t.deepEqual(await effect(h.host, ours.host, ours.result), await effect(stock, peer, theirs));
    t.is(await pings(ours.host, "10.7.0.1"), await pings(peer, "10.7.0.1"));
    await h.del(ours);
    await stockBridge(stock, { command: "DEL", name: "pod", netns: peer.path, netconf: { bridge: "cni7", ...conf } });
    t.deepEqual(await bridgeLeft(h.host), await bridgeLeft(stock));
  });
}

type Result = Pod["result"];

/** What may not differ: everything but names that are made up, MACs, paths, and an MTU, which 1.1.0 allows. */
function shape({ interfaces, ...rest }: Result): unknown {
  const known = interfaces.map(({ name, sandbox }) => [
    sandbox ? name : name.replace(/^(pw|veth).*/, "port"),
    !!sandbox,
  ]);
  return { known, rest };
}

async function effect(host: LabHost, pod: LabHost, { interfaces }: Result): Promise<unknown> {
  const [bridge, port, inside] = await Promise.all([
    host.namespace.link({ name: "cni7" }),
    host.namespace.link({ name: interfaces[1]?.name ?? "" }),
    pod.namespace.link({ name: "eth0" }),
  ]);
  const routes = (await pod.namespace.routes()).filter(({ family }) => family === 4);
  return {
    bridge: { mtu: bridge?.mtu, up: bridge?.up, filtering: bridge?.data["vlanFiltering"] },
    port: {
      mtu: port?.mtu,
      up: port?.up,
      isMember: port?.master === bridge?.ifindex,
      member: members(port?.memberData),
    },
    inside: { mtu: inside?.mtu, up: inside?.up },
    routes: routes.map(({ destination, prefixLength, gateway, scope }) => ({
      destination,
      prefixLength,
      gateway,
      scope,
    })),
    forwarding: await host.namespace.readSysctl("net/ipv4/ip_forward"),
    left: await bridgeLeft(host),
  };
}

const members = (data: Readonly<Record<string, unknown>> = {}) => [data["hairpin"], data["isolated"], data["learning"]];

async function bridgeLeft(host: LabHost): Promise<unknown> {
  const bridge = await host.namespace.link({ name: "cni7" });
  const addresses = (await host.namespace.addresses(bridge?.ifindex ?? 0)).filter(({ family }) => family === 4);
  return addresses.map(({ address, prefixLength }) => `${address}/${prefixLength}`);
}
