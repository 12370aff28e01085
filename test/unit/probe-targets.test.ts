/** Targets of the prober that change, go, or cannot be probed. */
import test from "ava";
import type { ProbeTarget } from "../../daemon/probe/prober.ts";
import { gateway, setUp, target } from "./probe-support.ts";

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
