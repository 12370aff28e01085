/** When the prober probes: schedule, limits, questions in between, and the end. */
import test from "ava";
import { brief, gateway, setUp, target } from "./probe-support.ts";

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
