import test from "ava";
import type { ProbeReport } from "../../daemon/model/probe.ts";
import { Prober, type ProberOptions, type ProbeTarget } from "../../daemon/probe/prober.ts";
import { FakeClock, FakeWire, type FakeGateway, PROBE_MAC, seeded } from "./probe-support.ts";

function setUp(options: Partial<ProberOptions> = {}) {
  const clock = new FakeClock();
  const wire = new FakeWire(clock);
  const published: ProbeReport[] = [];
  const logged: string[] = [];
  const prober = new Prober({
    openSocket: wire.open,
    log: { info: (_, message) => logged.push(message), warn: (_, message) => logged.push(message) },
    onReport: (report) => published.push(report),
    clock,
    random: seeded(7),
    ...options,
  });
  return { clock, wire, prober, published, logged };
}

function target(change: Partial<ProbeTarget> = {}): ProbeTarget {
  return {
    network: "blue",
    clusterNetwork: "oob",
    vlan: 100,
    gateway: "10.0.0.1",
    cidr: "10.0.0.0/24",
    probeAddress: "10.0.0.250",
    innerIfindex: 7,
    mac: PROBE_MAC,
    uplinkHasCarrier: () => true,
    ...change,
  };
}

const gateway = (change: Partial<FakeGateway> = {}): FakeGateway => ({ ip: "10.0.0.1", vlan: 100, ...change });
const brief = (reports: readonly ProbeReport[]) =>
  reports.map(({ network, probe, success, reason }) => [network, probe, success, reason]);

test("a network is probed within its first second, by ARP and then ICMP, and reports success with its time", async (t) => {
  const { clock, wire, prober, published, logged } = setUp();
  wire.gateways.push(gateway({ delayMs: 2 }));
  prober.setTargets([target()]);
  t.deepEqual(
    prober.reports().map(({ success, reason, attempts, lastAttempt }) => [success, reason, attempts, lastAttempt]),
    [
      [false, null, 0, null],
      [false, null, 0, null],
    ],
  );
  await clock.advance(1100);
  t.deepEqual(brief(prober.reports()), [
    ["blue", "arp", true, null],
    ["blue", "icmp", true, null],
  ]);
  for (const report of prober.reports()) {
    t.is(report.rtt, 0.002);
    t.is(report.attempts, 1);
    t.is(report.failures, 0);
    t.is(report.gateway, "10.0.0.1");
    t.is(report.lastSuccess, report.lastAttempt);
    t.regex(report.lastSuccess ?? "", /^2027-01-15T08:00:0\d\.\d{3}Z$/);
  }
  t.deepEqual(brief(published), brief(prober.reports()));
  t.deepEqual(logged, ["gateway answers", "gateway answers"]);
  await prober.close();
});

test("without a probe address only ARP is probed and there is no ICMP report", async (t) => {
  const { clock, wire, prober } = setUp();
  wire.gateways.push(gateway());
  prober.setTargets([target({ probeAddress: undefined })]);
  await clock.advance(1100);
  t.deepEqual(brief(prober.reports()), [["blue", "arp", true, null]]);
  t.is(wire.requests("echo").length, 0);
  await prober.close();
});

test("an uplink without carrier is the reason for both, and nothing is sent", async (t) => {
  const { clock, wire, prober } = setUp();
  prober.setTargets([target({ uplinkHasCarrier: () => false })]);
  await clock.advance(1100);
  t.deepEqual(brief(prober.reports()), [
    ["blue", "arp", false, "no-carrier"],
    ["blue", "icmp", false, "no-carrier"],
  ]);
  t.is(wire.sent.length, 0);
  await prober.close();
});

test("a carrier that goes while the prober waits is the reason, not the silence", async (t) => {
  const { clock, prober } = setUp();
  let carrier = true;
  prober.setTargets([target({ uplinkHasCarrier: () => carrier })]);
  await clock.advance(1100);
  carrier = false;
  await clock.advance(3000);
  t.is(prober.reports()[0]?.reason, "no-carrier");
  await prober.close();
});

test("no ARP reply to three requests fails both probes by that reason, and no echo is sent", async (t) => {
  const { clock, wire, prober, logged } = setUp();
  wire.gateways.push(gateway({ arp: false }));
  prober.setTargets([target()]);
  await clock.advance(4100);
  t.deepEqual(logged, ["gateway does not answer", "gateway does not answer"]);
  t.deepEqual(brief(prober.reports()), [
    ["blue", "arp", false, "no-arp-reply"],
    ["blue", "icmp", false, "no-arp-reply"],
  ]);
  t.is(prober.reports()[0]?.detail, "no ARP reply from 10.0.0.1 in VLAN 100 to 3 requests");
  const times = wire.requests("arp").map(({ ms }) => ms);
  t.deepEqual(
    times.map((time) => Math.round(time - (times[0] ?? 0))),
    [0, 1000, 2000],
  );
  t.is(wire.requests("echo").length, 0);
  await prober.close();
});

test("a gateway that answers ARP but no echo has arp successful and icmp failed by no-icmp-reply", async (t) => {
  const { clock, wire, prober } = setUp();
  wire.gateways.push(gateway({ icmp: false }));
  prober.setTargets([target()]);
  await clock.advance(4100);
  t.deepEqual(brief(prober.reports()), [
    ["blue", "arp", true, null],
    ["blue", "icmp", false, "no-icmp-reply"],
  ]);
  t.is(wire.requests("echo").length, 3);
  await prober.close();
});

test("a reply in another VLAN is no reply", async (t) => {
  const { clock, wire, prober } = setUp();
  wire.gateways.push(gateway({ replyVlan: 200 }));
  prober.setTargets([target(), target({ network: "red", vlan: 200, gateway: "10.0.0.2" })]);
  await clock.advance(4100);
  t.deepEqual(new Set(prober.reports().map(({ reason }) => reason)), new Set(["no-arp-reply"]));
  await prober.close();
});

test("the loss of a first try is no failure", async (t) => {
  const { clock, wire, prober } = setUp();
  wire.gateways.push(gateway({ lose: 1 }));
  prober.setTargets([target()]);
  await clock.advance(2100);
  t.true(prober.reports().every(({ success }) => success));
  t.is(wire.requests("arp").length, 2);
  await prober.close();
});

test("a gateway that must resolve our address first is told, and then answers", async (t) => {
  const { clock, wire, prober } = setUp();
  wire.gateways.push(gateway({ resolves: true }));
  prober.setTargets([target()]);
  await clock.advance(1100);
  t.true(prober.reports().every(({ success }) => success));
  await prober.close();
});

test("failures and successes add up, and the last success is kept over a failure", async (t) => {
  const { clock, wire, prober, logged } = setUp();
  const router = gateway();
  wire.gateways.push(router);
  prober.setTargets([target()]);
  await clock.advance(1100);
  const before = prober.reports()[0]?.lastSuccess;
  router.arp = false;
  await clock.advance(1100);
  const failing = prober.probeNow();
  await clock.advance(4000);
  await failing;
  const [arp] = prober.reports();
  t.is(arp?.success, false);
  t.is(arp?.rtt, null);
  t.true((arp?.attempts ?? 0) > (arp?.failures ?? 0));
  t.true((arp?.failures ?? 0) >= 1);
  t.not(arp?.lastSuccess, null);
  t.true((arp?.lastSuccess ?? "") >= (before ?? ""));
  t.true((arp?.lastSuccess ?? "") < (arp?.lastAttempt ?? ""));
  t.deepEqual(
    logged.filter((_, i) => i % 2 === 0),
    ["gateway answers", "gateway does not answer"],
  );
  await prober.close();
});

test("each network is probed every 15 s with jitter, over an hour without drift", async (t) => {
  const { clock, wire, prober } = setUp();
  wire.gateways.push(gateway(), gateway({ vlan: 200 }));
  prober.setTargets([target(), target({ network: "red", vlan: 200 })]);
  await clock.advance(3_600_000);
  for (const vlan of [100, 200]) {
    const times = wire
      .requests("arp")
      .filter(({ frame }) => frame.ethernet.vlan === vlan)
      .map(({ ms }) => ms);
    t.true(Math.abs(times.length - 240) <= 1);
    const first = times[0] ?? Number.NaN;
    t.true(first < 1010);
    const gaps = times.slice(1).map((time, i) => time - (times[i] ?? 0));
    t.true(gaps.every((gap) => gap > 9000 - 10 && gap < 21_000 + 10));
    t.true(new Set(gaps).size > 100);
    t.true(times.every((time, slot) => Math.abs(time - first - slot * 15_000) < 3010));
  }
  await prober.close();
});

test("with dead networks no more than the limit are in flight and every one gets its turn, without a pile-up", async (t) => {
  const { clock, wire, prober } = setUp({ maxInFlight: 2 });
  const names = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l"];
  prober.setTargets(names.map((network, i) => target({ network, vlan: i + 1 })));
  await clock.advance(300_000);
  const requests = wire.requests("arp");
  for (const { ms } of requests) {
    const inFlight = new Set(
      requests.filter((other) => other.ms <= ms && other.ms > ms - 2990).map(({ frame }) => frame.ethernet.vlan),
    );
    t.true(inFlight.size <= 2 + 2); // two that end within the 10 ms that the window leaves out
  }
  const attempts = prober.reports().map((report) => report.attempts);
  // 2 at a time of 3 s each: a round of 12 takes 18 s, so about 16 rounds
  t.true(Math.min(...attempts) >= 12 && Math.max(...attempts) <= 20, attempts.join());
  t.true(clock.pending <= names.length + 2);
  await prober.close();
});

test("after a stall of minutes a network is probed once, not once for each missed turn", async (t) => {
  const { clock, wire, prober } = setUp();
  wire.gateways.push(gateway());
  prober.setTargets([target()]);
  await clock.advance(2000);
  const before = wire.requests("arp").length;
  clock.stall(600_000);
  await clock.advance(4000);
  t.true(wire.requests("arp").length - before <= 2);
  await prober.close();
});

test("turns that come while a probe is not over are passed over", async (t) => {
  const { clock, wire, prober, published } = setUp();
  wire.gateways.push(gateway());
  let open = (): void => undefined;
  wire.openGate = new Promise((resolve) => {
    open = resolve;
  });
  prober.setTargets([target({ probeAddress: undefined })]);
  await clock.advance(60_000);
  t.is(published.length, 0);
  open();
  await clock.advance(100);
  t.is(published.length, 1);
  await prober.close();
});

test("a network that is taken away while it waits for its turn is not probed", async (t) => {
  const { clock, wire, prober } = setUp({ maxInFlight: 1 });
  const first = target({ network: "a", vlan: 1 });
  prober.setTargets([first, target({ network: "b", vlan: 2 })]);
  void prober.probeNow();
  await clock.advance(100);
  t.deepEqual(new Set(wire.requests("arp").map(({ frame }) => frame.ethernet.vlan)), new Set([1]));
  prober.setTargets([first]);
  await clock.advance(10_000);
  t.deepEqual(new Set(wire.requests("arp").map(({ frame }) => frame.ethernet.vlan)), new Set([1]));
  await prober.close();
});

test("one socket serves the networks of a probe port, another port has its own", async (t) => {
  const { clock, wire, prober } = setUp();
  prober.setTargets([
    target(),
    target({ network: "red", vlan: 200 }),
    target({ network: "other", clusterNetwork: "mgmt", innerIfindex: 9 }),
  ]);
  await clock.advance(1100);
  t.deepEqual(
    [...wire.openedOn].sort((a, b) => a - b),
    [7, 9],
  );
  await prober.close();
  t.is(wire.openSockets, 0);
});

test("a socket that does not open is a probe-error with the kernel's text, and the next round opens it", async (t) => {
  const { clock, wire, prober } = setUp();
  wire.gateways.push(gateway());
  wire.openError = new Error("bind oob-pi: No such device");
  prober.setTargets([target()]);
  await clock.advance(1100);
  const [arp, icmp] = prober.reports();
  t.is(arp?.reason, "probe-error");
  t.is(arp?.detail, "bind oob-pi: No such device");
  t.is(icmp?.reason, "probe-error");
  wire.openError = null;
  await clock.advance(20_000);
  t.true(prober.reports().every(({ success }) => success));
  await prober.close();
});

test("a socket that fails to send is a probe-error, and is replaced by the next round", async (t) => {
  const { clock, wire, prober } = setUp();
  wire.gateways.push(gateway());
  prober.setTargets([target()]);
  await clock.advance(1100);
  wire.sendError = new Error("send oob-pi: Network is down");
  await clock.advance(20_000);
  t.is(prober.reports()[0]?.reason, "probe-error");
  t.is(prober.reports()[0]?.detail, "send oob-pi: Network is down");
  t.is(wire.openSockets, 0);
  wire.sendError = null;
  await clock.advance(20_000);
  t.true(prober.reports().every(({ success }) => success));
  t.is(wire.openSockets, 1);
  await prober.close();
});

test("a socket that went deaf is replaced after the round that heard nothing", async (t) => {
  const { clock, wire, prober } = setUp();
  wire.gateways.push(gateway());
  prober.setTargets([target()]);
  await clock.advance(1100);
  const deliver = wire.deliver.bind(wire);
  wire.deliver = () => undefined;
  await clock.advance(25_000);
  t.is(prober.reports()[0]?.reason, "no-arp-reply");
  t.true(wire.sockets[0]?.closed);
  wire.deliver = deliver;
  await clock.advance(20_000);
  t.true(prober.reports().every(({ success }) => success));
  await prober.close();
});

test("frames that were dropped in the time of a failure are told", async (t) => {
  const { clock, wire, prober } = setUp();
  wire.gateways.push(gateway({ arp: false }));
  prober.setTargets([target()]);
  await clock.advance(1100);
  const [socket] = wire.sockets;
  if (socket) socket.dropped = 12;
  await clock.advance(4000);
  t.regex(prober.reports()[0]?.detail ?? "", /; 12 frames were dropped unread/);
  await prober.close();
});

const faults: readonly (readonly [Partial<ProbeTarget>, RegExp])[] = [
  [{ gateway: "fd00::1" }, /gateway fd00::1 is not an IPv4 address/],
  [{ probeAddress: "10.0.1.250" }, /probe address 10.0.1.250 is not in 10.0.0.0\/24/],
  [{ probeAddress: "10.0.0.1" }, /is the gateway's/],
  [{ innerIfindex: 0 }, /cluster network oob has no probe port/],
  [{ mac: "" }, /MAC address/],
  [{ vlan: 4095 }, /VLAN 4095/],
];
for (const [change, detail] of faults) {
  test(`a target that cannot be probed is a probe-error that says why: ${JSON.stringify(change)}`, async (t) => {
    const { clock, wire, prober } = setUp();
    prober.setTargets([target(change)]);
    await clock.advance(1100);
    for (const report of prober.reports()) {
      t.is(report.reason, "probe-error");
      t.regex(report.detail, detail);
    }
    t.is(wire.sockets.length, 0);
    await prober.close();
  });
}

test("a network that is taken away is reported no more, its probe in flight says nothing, its socket closes", async (t) => {
  const { clock, wire, prober, published } = setUp();
  prober.setTargets([target()]);
  await clock.advance(1100);
  t.is(wire.openSockets, 1);
  prober.setTargets([]);
  await clock.advance(10_000);
  t.is(wire.openSockets, 0);
  t.deepEqual(prober.reports(), []);
  t.deepEqual(published, []);
  t.is(clock.pending, 0);
  await prober.close();
});

test("the same targets again change nothing: counts and schedule are kept", async (t) => {
  const { clock, wire, prober } = setUp();
  wire.gateways.push(gateway());
  prober.setTargets([target()]);
  for (let i = 0; i < 60; i++) {
    await clock.advance(1000);
    prober.setTargets([target()]);
  }
  t.true(Math.abs((prober.reports()[0]?.attempts ?? 0) - 5) <= 1);
  t.is(wire.sockets.length, 1);
  await prober.close();
});

test("a replaced probe port is probed through at once, what ran on the old one says nothing, counts are kept", async (t) => {
  const { clock, wire, prober, published } = setUp();
  const router = gateway();
  wire.gateways.push(router);
  prober.setTargets([target()]);
  await clock.advance(1100);
  router.arp = false;
  void prober.probeNow();
  await clock.advance(100);
  router.arp = true;
  prober.setTargets([target({ innerIfindex: 8, mac: "02:00:00:00:00:08" })]);
  await clock.advance(100);
  t.deepEqual(wire.openedOn, [7, 8]);
  t.is(wire.openSockets, 1);
  t.true(published.every(({ success }) => success));
  t.deepEqual(
    prober.reports().map(({ attempts, success }) => [attempts, success]),
    [
      [2, true],
      [2, true],
    ],
  );
  await prober.close();
});

test("an idle network whose probe port is replaced is probed at once", async (t) => {
  const { clock, wire, prober } = setUp();
  wire.gateways.push(gateway());
  prober.setTargets([target()]);
  await clock.advance(1100);
  prober.setTargets([target({ innerIfindex: 8 })]);
  await clock.advance(100);
  t.is(prober.reports()[0]?.attempts, 2);
  t.true(prober.reports()[0]?.success);
  await prober.close();
});

test("another gateway is another question: it starts anew", async (t) => {
  const { clock, wire, prober } = setUp();
  wire.gateways.push(gateway(), gateway({ ip: "10.0.0.2" }));
  prober.setTargets([target()]);
  await clock.advance(60_000);
  prober.setTargets([target({ gateway: "10.0.0.2" })]);
  t.deepEqual(
    prober.reports().map((report) => [report.gateway, report.attempts, report.lastSuccess]),
    [
      ["10.0.0.2", 0, null],
      ["10.0.0.2", 0, null],
    ],
  );
  await clock.advance(1100);
  t.true(prober.reports().every(({ success, attempts }) => success && attempts === 1));
  await prober.close();
});

test("probeNow waits for a probe that begins after it, even while another is in flight", async (t) => {
  const { clock, wire, prober } = setUp();
  const router = gateway({ arp: false });
  wire.gateways.push(router);
  prober.setTargets([target(), target({ network: "red", vlan: 200 })]);
  await clock.advance(1100);
  t.is(wire.requests("arp").length >= 2, true);
  const asked = prober.probeNow("blue");
  router.arp = true; // also the retries of the probe in flight are answered
  await clock.advance(5000);
  const reports = await asked;
  t.deepEqual(brief(reports), [
    ["blue", "arp", true, null],
    ["blue", "icmp", true, null],
  ]);
  t.is(reports[0]?.attempts, 2, "the probe in flight began before the question");
  t.deepEqual(await prober.probeNow("unknown"), []);
  await prober.close();
});

test("close ends what is in flight: no timer, no socket, no report after it, and whoever waits is let go", async (t) => {
  const { clock, wire, prober, published } = setUp();
  prober.setTargets([target(), target({ network: "red", vlan: 200 })]);
  await clock.advance(1100);
  const waiting = prober.probeNow();
  await prober.close();
  await waiting;
  t.is(wire.openSockets, 0);
  t.is(clock.pending, 0);
  wire.gateways.push(gateway());
  await clock.advance(60_000);
  t.deepEqual(published, []);
  prober.setTargets([target()]);
  t.is(clock.pending, 0);
  t.deepEqual(await prober.probeNow(), []);
  await prober.close();
});

test("meters hear of each series at its birth and end and of each attempt between", async (t) => {
  const heard: string[] = [];
  const { clock, wire, prober } = setUp({
    meters: {
      added: (network, probe) => heard.push(`added ${network} ${probe}`),
      attempted: ({ network, probe, success }) => heard.push(`${network} ${probe} ${success}`),
      removed: (network, probe) => heard.push(`removed ${network} ${probe}`),
    },
  });
  wire.gateways.push(gateway());
  prober.setTargets([target()]);
  await clock.advance(1100);
  prober.setTargets([]);
  t.deepEqual(heard, [
    "added blue arp",
    "added blue icmp",
    "blue arp true",
    "blue icmp true",
    "removed blue arp",
    "removed blue icmp",
  ]);
  await prober.close();
});

test("a consumer that throws does not stop the probing", async (t) => {
  const { clock, wire, prober } = setUp({
    onReport: () => {
      throw new Error("consumer");
    },
  });
  wire.gateways.push(gateway());
  prober.setTargets([target()]);
  await clock.advance(60_000);
  t.true((prober.reports()[1]?.attempts ?? 0) >= 4);
  await prober.close();
});
