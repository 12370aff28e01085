// VLANs on bridges that are not managed, which need a kernel whose bridge filters them: the stock plugin with the same
// configuration beside ours, each difference with its reason, and what it does not know at all.
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import test from "ava";
import { runCni } from "../../../daemon/demo/container-runtime.ts";
import type { LabHost } from "../../../daemon/demo/lab.ts";
import { pings } from "../../support/host-network.ts";
import { stockBridge } from "../../support/stock-bridge.ts";
import { type CniAddResult, OOB, type Pod, staticIpam, TestHost } from "../../support/test-host.ts";

const run = promisify(execFile);
const inside = async ({ path }: LabHost, ...command: string[]) =>
  (await run("nsenter", [`--net=${path}`, ...command])).stdout.trim();
/** An emulated machine may take more than a second for it. */
const reaches = (from: LabHost, address: string) => pings(from, address, 5);
const check = (h: TestHost, { call, result }: Pod) =>
  runCni(h.runtime, { ...call, command: "CHECK", netconf: { ...call.netconf, prevResult: result } });

/** What a call left, with made-up names and MACs made equal. */
interface Found {
  readonly result: unknown;
  readonly bridge: unknown;
  readonly vlans: Readonly<Record<string, readonly string[]>>;
  /** of each its role, whether it is up, MTU, hairpin and learning */
  readonly ports: readonly (readonly unknown[])[];
  readonly gateway: unknown;
}

/** A found state with what the stock plugin does and we do not taken away, or the other way round. */
type Difference = (theirs: Found) => Found;

/** Stock 1.1.1 leaves the bridge's default VLAN at every port; ours has it for who asks (preserveDefaultVlan). */
const withoutDefaultVlan: Difference = (theirs) => ({
  ...theirs,
  vlans: Object.fromEntries(
    Object.entries(theirs.vlans).map(([name, entries]) => [
      name,
      name === "bridge" ? entries : entries.filter((entry) => entry !== "1 untagged"),
    ]),
  ),
});

/** The stock plugin adds nftables chains to every port; here the port is locked to its own static entries. */
const locked: Difference = (theirs) => ({
  ...withoutDefaultVlan(theirs),
  ports: theirs.ports.map((port) => (port[0] === "port" ? [...port.slice(0, -1), false] : port)),
});

const SAME: Difference = (theirs) => theirs;

const CASES: Readonly<Record<string, { readonly conf: object; readonly difference: Difference }>> = {
  access: { conf: { vlan: 100 }, difference: withoutDefaultVlan },
  "access, with the default VLAN": { conf: { vlan: 100, preserveDefaultVlan: true }, difference: SAME },
  "access, source addresses checked": { conf: { vlan: 100, macspoofchk: true }, difference: locked },
  "a gateway in a VLAN": {
    conf: { vlan: 100, isGateway: true, ...staticIpam("10.7.0.9/24") },
    difference: withoutDefaultVlan,
  },
  "a default gateway in a VLAN, hairpin and MTU": {
    conf: { vlan: 100, isDefaultGateway: true, hairpinMode: true, mtu: 1400, ...staticIpam("10.7.0.9/24") },
    difference: withoutDefaultVlan,
  },
};

for (const [name, { conf, difference }] of Object.entries(CASES)) {
  test.serial(`as the stock plugin does in VLANs: ${name}`, async (t) => {
    const h = await TestHost.start(t, { intent: OOB() });
    const stock = await h.lab.host("stock");
    const peer = await h.lab.host("peer");
    const netconf = { bridge: "cni7", ...conf };
    const theirs = await stockBridge(stock, { command: "ADD", name: "pod", netns: peer.path, netconf });
    const ours = await h.add("pod", netconf);
    t.deepEqual(await found(h.host, ours.result), difference(await found(stock, theirs)));
    await check(h, ours);
    if ("ipam" in conf) {
      t.true(await reaches(ours.host, "10.7.0.1"));
      t.true(await reaches(peer, "10.7.0.1"));
    }
    await h.del(ours);
    await stockBridge(stock, { command: "DEL", name: "pod", netns: peer.path, netconf });
    // The bridge and the interface in the VLAN, not the port and what is inside.
    const staying = { ...theirs, interfaces: theirs.interfaces.filter((_, i) => i === 0 || i === 3) };
    const left = (host: LabHost) => found(host, staying);
    t.deepEqual(await left(h.host), difference(await left(stock)), "what stays");
  });
}

async function found(host: LabHost, { interfaces, ...rest }: CniAddResult): Promise<Found> {
  const links = await host.namespace.links();
  const entries = await host.namespace.bridgeVlans();
  const bridge = links.find(({ name }) => name === "cni7");
  const gateway = links.find(({ name }) => name === "cni7.100");
  const role = (link: { name: string; ifindex: number } | undefined): string => {
    if (link === undefined) return "nothing";
    if (link.name === "cni7" || link.name === "cni7.100") return link.name === "cni7" ? "bridge" : "gateway";
    return link.ifindex === gateway?.link ? "the gateway's port" : "port";
  };
  const ports = links.filter(({ master }) => master === bridge?.ifindex);
  const listed = [...(bridge ? [bridge] : []), ...ports].map((link) => [
    role(link),
    entries
      .filter(({ ifindex }) => ifindex === link.ifindex)
      .map(({ vid, pvid, untagged }) => `${vid}${pvid ? " pvid" : ""}${untagged ? " untagged" : ""}`),
  ]);
  const addresses = gateway === undefined ? [] : await host.namespace.addresses(gateway.ifindex);
  return {
    result: {
      ...rest,
      interfaces: interfaces.map(({ name, sandbox }) =>
        sandbox ? [name, "inside"] : [role(links.find((link) => link.name === name)), "outside"],
      ),
    },
    bridge: { up: bridge?.up, mtu: bridge?.mtu, filtering: bridge?.data["vlanFiltering"] },
    vlans: Object.fromEntries(listed),
    ports: ports
      .map((link) => [role(link), link.up, link.mtu, link.memberData["hairpin"], link.memberData["learning"]])
      .sort(([a], [b]) => `${a}`.localeCompare(`${b}`)),
    gateway: gateway && {
      ...{ kind: gateway.kind, up: gateway.up, mtu: gateway.mtu },
      addresses: addresses.filter(({ family }) => family === 4).map((one) => `${one.address}/${one.prefixLength}`),
    },
  };
}

test.serial("a trunk and a spoof check hold in each VLAN; what is not the port's passes nowhere", async (t) => {
  const h = await TestHost.start(t, { intent: OOB() });
  const trunk = { bridge: "cni7", vlan: 7, vlanTrunk: [{ minID: 100, maxID: 102 }], macspoofchk: true };
  const pod = await h.add("pod", trunk);
  const access = await h.add("access", { bridge: "cni7", vlan: 101 });
  const other = await h.add("other", { bridge: "cni7", vlan: 103 });
  for (const [host, vlan] of [[pod.host, 101] as const, [pod.host, 103] as const]) {
    await inside(host, "ip", "link", "add", "link", "eth0", "name", `eth0.${vlan}`, "type", "vlan", "id", `${vlan}`);
    await inside(host, "ip", "address", "add", `10.${vlan}.0.1/24`, "dev", `eth0.${vlan}`);
    await inside(host, "ip", "link", "set", `eth0.${vlan}`, "up");
  }
  await inside(access.host, "ip", "address", "add", "10.101.0.2/24", "dev", "eth0");
  await inside(other.host, "ip", "address", "add", "10.103.0.2/24", "dev", "eth0");
  t.true(await reaches(pod.host, "10.101.0.2"));
  t.false(await reaches(pod.host, "10.103.0.2"), "a VLAN that the trunk has not");
  await check(h, pod);
  await inside(pod.host, "ip", "link", "set", "eth0.101", "address", "02:00:00:00:99:99");
  await inside(access.host, "ip", "neigh", "flush", "all");
  t.false(await reaches(pod.host, "10.101.0.2"), "an address that is not the workload's");
  const port = pod.result.interfaces[1]?.name ?? "";
  await inside(h.host, "bridge", "vlan", "add", "dev", port, "vid", "103");
  await t.throwsAsync(check(h, pod), { message: /VLANs 7,100-103; wanted 7 and 7,100-102/ });
});

test.serial("hairpin lets a frame out of the port it came in by, in its VLAN", async (t) => {
  const h = await TestHost.start(t, { intent: OOB() });
  for (const hairpinMode of [true, false]) {
    const pod = await h.add(hairpinMode ? "reflected" : "plain", { bridge: "cni7", vlan: 100, hairpinMode });
    await inside(pod.host, "ip", "link", "add", "link", "eth0", "name", "mv0", "type", "macvlan", "mode", "vepa");
    await inside(pod.host, "ip", "link", "add", "link", "eth0", "name", "mv1", "type", "macvlan", "mode", "vepa");
    const twin = await h.lab.host(`twin${hairpinMode}`);
    await inside(pod.host, "ip", "link", "set", "mv1", "netns", twin.path);
    for (const [host, name, last] of [[pod.host, "mv0", 1] as const, [twin, "mv1", 2] as const]) {
      await inside(host, "ip", "address", "add", `10.9.0.${last}/24`, "dev", name);
      await inside(host, "ip", "link", "set", name, "up");
    }
    t.is(await reaches(pod.host, "10.9.0.2"), hairpinMode);
    await check(h, pod);
    await h.del(pod);
  }
});

test.serial("a bridge that does not filter VLANs is refused for them, and left as it was", async (t) => {
  const h = await TestHost.start(t, { intent: OOB() });
  await inside(h.host, "ip", "link", "add", "plain0", "type", "bridge");
  await t.throwsAsync(h.add("refused", { bridge: "plain0", vlan: 5 }), { message: /does not filter VLANs/ });
  t.like(await h.host.namespace.link({ name: "plain0" }), { up: false, data: { vlanFiltering: false } });
});
