/** The prober's packet sockets: one a probe port, replaced when they fail. */
import test from "ava";
import { gateway, setUp, target } from "./probe-support.ts";

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
