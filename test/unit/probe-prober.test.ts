/** What a probe of a gateway finds, and who hears of it. */
import test from "ava";
import { brief, gateway, setUp, target } from "./probe-support.ts";

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
