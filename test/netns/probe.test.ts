/** Probes against gateways that are real Linux stacks, through real packet sockets, untagged and in VLANs. */
import { mkdirSync, readdirSync, rmSync } from "node:fs";
import test, { type ExecutionContext } from "ava";
import type { Namespace, ReceivedFrame } from "../../daemon/kernel/kernel.ts";
import { nativeKernel } from "../../daemon/kernel/native.ts";
import type { ProbeReport } from "../../daemon/model/probe.ts";
import { Prober, type ProbeTarget } from "../../daemon/probe/prober.ts";
import { until } from "../support/until.ts";

const kernel = nativeKernel();
const GATEWAY = "10.77.0.1";
const PROBE_ADDRESS = "10.77.0.250";
const AF_INET = 2;
const NUD_REACHABLE = 0x02; // uapi/linux/neighbour.h
const NTF_USE = 0x01;

const directory = `/run/pwprobe${process.pid}`;
let serial = 0;

test.before(() => {
  mkdirSync(directory, { recursive: true });
});
test.after.always(() => {
  rmSync(directory, { recursive: true, force: true });
});

async function namespace(t: ExecutionContext): Promise<Namespace> {
  const path = `${directory}/n${serial++}`;
  await kernel.createNetns(path);
  t.teardown(() => kernel.removeNetns(path));
  const handle = kernel.openNetns(path);
  const ns = await kernel.enter(handle);
  t.teardown(async () => {
    await ns.close();
    handle.close();
  });
  return ns;
}

/** A veth pair, both ends up and without addresses. */
async function cable(
  a: Namespace,
  name: string,
  b: Namespace,
  peerName: string,
): Promise<{ ifindex: number; mac: string; peerIfindex: number }> {
  const { ifindex } = await a.createLink({
    name,
    kind: "veth",
    noIpv6LinkLocal: true,
    peer: { name: peerName, netns: b.handle },
  });
  await b.changeLink({ name: peerName }, { up: true, noIpv6LinkLocal: true });
  await a.changeLink({ ifindex }, { up: true, noArp: true });
  const link = await a.link({ ifindex });
  const peer = await b.link({ name: peerName });
  if (!link || !peer) throw new Error("the veth pair is not there");
  return { ifindex, mac: link.mac, peerIfindex: peer.ifindex };
}

function start(t: ExecutionContext, host: Namespace): Prober {
  const prober = new Prober({
    openSocket: (options, onFrames) => host.openPacketSocket(options, onFrames),
    log: { info: () => undefined, warn: () => undefined },
  });
  t.teardown(() => prober.close());
  return prober;
}

function target(inner: { ifindex: number; mac: string }, change: Partial<ProbeTarget> = {}): ProbeTarget {
  return {
    network: "blue",
    clusterNetwork: "oob",
    vlan: 0,
    gateway: GATEWAY,
    cidr: "10.77.0.0/24",
    probeAddress: PROBE_ADDRESS,
    innerIfindex: inner.ifindex,
    mac: inner.mac,
    uplinkHasCarrier: () => true,
    ...change,
  };
}

/** A host with the inner end, and a router that is the far end with the gateway's address. */
async function untagged(t: ExecutionContext, address: string | null = GATEWAY) {
  const host = await namespace(t);
  const router = await namespace(t);
  const inner = await cable(host, "oob-pi", router, "lan");
  if (address) await router.addAddress({ ifindex: inner.peerIfindex, address, prefixLength: 24 });
  return { host, router, inner, prober: start(t, host) };
}

const brief = (reports: readonly ProbeReport[]) =>
  reports.map(({ probe, success, reason }) => [probe, success, reason]);
const BOTH_WELL = [
  ["arp", true, null],
  ["icmp", true, null],
];

test("a Linux gateway answers ARP and ICMP untagged, with a time for each", async (t) => {
  const { prober, inner } = await untagged(t);
  prober.setTargets([target(inner)]);
  const reports = await prober.probeNow();
  t.deepEqual(brief(reports), BOTH_WELL, JSON.stringify(reports));
  for (const { rtt } of reports) t.true(rtt !== null && rtt > 0);
});

test("without a probe address the gateway answers the RFC 5227 probe, and learns nothing of us", async (t) => {
  const { prober, inner, router } = await untagged(t);
  prober.setTargets([target(inner, { probeAddress: undefined })]);
  t.deepEqual(brief(await prober.probeNow()), [["arp", true, null]]);
  t.deepEqual(
    (await router.neighbours(AF_INET)).filter(({ mac }) => mac === inner.mac),
    [],
  );
});

test("a gateway that ignores echo requests is no-icmp-reply, and is well again when it answers them", async (t) => {
  const { prober, inner, router } = await untagged(t);
  await router.writeSysctl("net/ipv4/icmp_echo_ignore_all", "1");
  prober.setTargets([target(inner)]);
  const reports = await prober.probeNow();
  t.deepEqual(brief(reports), [
    ["arp", true, null],
    ["icmp", false, "no-icmp-reply"],
  ]);
  t.true(reports[1]?.detail.includes(PROBE_ADDRESS));
  await router.writeSysctl("net/ipv4/icmp_echo_ignore_all", "0");
  t.deepEqual(brief(await prober.probeNow()), BOTH_WELL);
});

test("a gateway without the address is no-arp-reply for both", async (t) => {
  const { prober, inner } = await untagged(t, "10.77.0.2");
  prober.setTargets([target(inner)]);
  t.deepEqual(brief(await prober.probeNow()), [
    ["arp", false, "no-arp-reply"],
    ["icmp", false, "no-arp-reply"],
  ]);
});

test("the gateway can resolve the probe address at any time", async (t) => {
  const { prober, inner, router } = await untagged(t);
  prober.setTargets([target(inner)]);
  await prober.probeNow();
  const entry = { ifindex: inner.peerIfindex, family: AF_INET, address: PROBE_ADDRESS };
  await router.removeNeighbour({ ...entry, mac: "", state: 0, flags: 0 });
  await router.setNeighbour({ ...entry, mac: "", state: 0, flags: NTF_USE });
  let mac = "";
  await until(async () => {
    const found = (await router.neighbours(AF_INET)).find(({ address }) => address === PROBE_ADDRESS);
    if (!found || found.state !== NUD_REACHABLE) return false;
    mac = found.mac;
    return true;
  });
  t.is(mac, inner.mac);
});

test("an interface that is down is a probe-error with the kernel's text, and once it is up the next probe is well", async (t) => {
  const { host, prober, inner } = await untagged(t);
  prober.setTargets([target(inner)]);
  t.deepEqual(brief(await prober.probeNow()), BOTH_WELL);
  await host.changeLink({ ifindex: inner.ifindex }, { up: false });
  const reports = await prober.probeNow();
  t.deepEqual(brief(reports), [
    ["arp", false, "probe-error"],
    ["icmp", false, "probe-error"],
  ]);
  t.regex(reports[0]?.detail ?? "", /ENETDOWN|down/i);
  await host.changeLink({ ifindex: inner.ifindex }, { up: true });
  t.deepEqual(brief(await prober.probeNow()), BOTH_WELL);
});

test("an interface that is deleted is a probe-error, and its successor is probed once it is named", async (t) => {
  const { host, router, prober, inner } = await untagged(t);
  prober.setTargets([target(inner)]);
  t.deepEqual(brief(await prober.probeNow()), BOTH_WELL);
  await host.deleteLink({ ifindex: inner.ifindex });
  t.deepEqual(brief(await prober.probeNow()), [
    ["arp", false, "probe-error"],
    ["icmp", false, "probe-error"],
  ]);
  t.is((await prober.probeNow())[0]?.reason, "probe-error", "nor can a new socket be opened");
  const next = await cable(host, "oob-pi", router, "lan");
  await router.addAddress({ ifindex: next.peerIfindex, address: GATEWAY, prefixLength: 24 });
  prober.setTargets([target(next)]);
  const reports = await prober.probeNow();
  t.deepEqual(brief(reports), BOTH_WELL);
  t.true((reports[0]?.failures ?? 0) >= 2, "the counts go on");
});

/**
 * A host on a trunk, and gateways with plain Linux stacks behind it, one a VLAN: a relay of raw bytes between them takes
 * the tag off and puts it on, since this kernel need not have VLAN devices.
 */
async function trunk(t: ExecutionContext, gateways: readonly { vlan: number; address: string; back?: number }[]) {
  const host = await namespace(t);
  const wire = await namespace(t);
  const inner = await cable(host, "oob-pi", wire, "trunk");
  const seen: number[] = [];
  const lans = new Map<number, (frame: Uint8Array) => Promise<void>>();
  const link = await wire.openPacketSocket({ ifindex: inner.peerIfindex }, (frames) => {
    for (const { data, vlan } of frames) {
      const vid = vlan ? vlan.tci & 0xfff : 0;
      seen.push(vid);
      void lans.get(vid)?.(data);
    }
  });
  t.teardown(() => link.close());
  for (const { vlan, address, back = vlan } of gateways) {
    const router = await namespace(t);
    const lan = await cable(wire, `lan${vlan}`, router, "lan");
    await router.addAddress({ ifindex: lan.peerIfindex, address, prefixLength: 24 });
    const socket = await wire.openPacketSocket({ ifindex: lan.ifindex }, (frames: readonly ReceivedFrame[]) => {
      for (const { data } of frames) {
        const tagged = Buffer.alloc(data.length + 4);
        tagged.set(data.subarray(0, 12), 0);
        tagged.writeUInt16BE(0x8100, 12);
        tagged.writeUInt16BE(back, 14);
        tagged.set(data.subarray(12), 16);
        void link.send(tagged);
      }
    });
    t.teardown(() => socket.close());
    lans.set(vlan, (frame) => socket.send(frame));
  }
  return { host, inner, seen, prober: start(t, host) };
}

test("gateways in two VLANs are probed each in its own, over one port, even with the same address", async (t) => {
  const { prober, inner, seen } = await trunk(t, [
    { vlan: 100, address: GATEWAY },
    { vlan: 4094, address: GATEWAY },
  ]);
  prober.setTargets([target(inner, { vlan: 100 }), target(inner, { network: "red", vlan: 4094 })]);
  const reports = await prober.probeNow();
  t.deepEqual(brief(reports), [...BOTH_WELL, ...BOTH_WELL], JSON.stringify(reports));
  t.deepEqual(new Set(seen), new Set([100, 4094]), "nothing went out untagged or in another VLAN");
});

test("a gateway in one VLAN is none for a network of another", async (t) => {
  const { prober, inner } = await trunk(t, [{ vlan: 100, address: GATEWAY }]);
  prober.setTargets([target(inner, { vlan: 200 })]);
  t.deepEqual(brief(await prober.probeNow()), [
    ["arp", false, "no-arp-reply"],
    ["icmp", false, "no-arp-reply"],
  ]);
});

test("replies that come back in another VLAN do not count", async (t) => {
  const { prober, inner } = await trunk(t, [{ vlan: 100, address: GATEWAY, back: 101 }]);
  prober.setTargets([target(inner, { vlan: 100 })]);
  t.is((await prober.probeNow())[0]?.reason, "no-arp-reply");
});

// Serial: no other test opens descriptors meanwhile.
test.serial("close leaves no descriptor, also with probes in flight", async (t) => {
  const { host, inner } = await untagged(t);
  const descriptors = (): number => readdirSync("/proc/self/fd").length;
  const before = descriptors();
  for (let i = 0; i < 20; i++) {
    const prober = start(t, host);
    prober.setTargets([target(inner), target(inner, { network: "red", vlan: 200 })]);
    const probing = prober.probeNow();
    await host.links(); // the socket is open, or about to be
    await prober.close();
    await probing;
  }
  t.is(descriptors(), before);
});
