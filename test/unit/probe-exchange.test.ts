import test from "ava";
import { arpReply, arpRequest } from "../../daemon/probe/arp.ts";
import { Exchange, type Protocol } from "../../daemon/probe/exchange.ts";
import { type Arp, buildArp, type Echo, type Frame, parseFrame } from "../../daemon/probe/frame.ts";
import { echoRequest } from "../../daemon/probe/icmp.ts";
import { GATEWAY_MAC, PROBE_MAC, seeded } from "./probe-support.ts";

const MS = 1_000_000n;
const arpQuestion = { vlan: 100, mac: PROBE_MAC, gateway: "10.0.0.1", probeAddress: "10.0.0.250" };
const echoQuestion = { ...arpQuestion, gatewayMac: GATEWAY_MAC };

/** A state machine whose clock is a number and whose wire is a list. */
function bench<A>(protocol: Protocol<A>) {
  const state = { now: 0n, sent: [] as Frame[] };
  const exchange = new Exchange(protocol, {
    now: () => state.now,
    send: (bytes) => {
      const frame = parseFrame(bytes);
      if (frame) state.sent.push(frame);
    },
  });
  return {
    state,
    exchange,
    at(ms: number): void {
      state.now = BigInt(Math.round(ms * 1e6));
    },
    receive(frame: Frame): void {
      exchange.receive(frame, state.now);
    },
  };
}

function arpAnswer(change: Partial<Arp> = {}, ethernet: Partial<Frame["ethernet"]> = {}): Frame {
  return {
    kind: "arp",
    ethernet: { destination: PROBE_MAC, source: GATEWAY_MAC, vlan: 100, ...ethernet },
    arp: {
      operation: "reply",
      senderMac: GATEWAY_MAC,
      senderIp: "10.0.0.1",
      targetMac: PROBE_MAC,
      targetIp: "10.0.0.250",
      ...change,
    },
  };
}

function echoAnswer(request: Frame | undefined, change: Partial<Echo> = {}, ethernet: Partial<Frame["ethernet"]> = {}) {
  if (request?.kind !== "echo") throw new Error("no echo request was sent");
  const { identifier, sequence, data } = request.echo;
  const echo: Echo = {
    type: "reply",
    sourceIp: "10.0.0.1",
    destinationIp: "10.0.0.250",
    identifier,
    sequence,
    data,
    ...change,
  };
  const frame: Frame = {
    kind: "echo",
    ethernet: { destination: PROBE_MAC, source: GATEWAY_MAC, vlan: 100, ...ethernet },
    echo,
  };
  return frame;
}

test("ARP: the first request is a broadcast from the probe address, and its reply gives MAC and time", (t) => {
  const { exchange, state, at, receive } = bench(arpRequest(arpQuestion));
  exchange.start();
  t.deepEqual(state.sent, [
    {
      kind: "arp",
      ethernet: { destination: "ff:ff:ff:ff:ff:ff", source: PROBE_MAC, vlan: 100 },
      arp: {
        operation: "request",
        senderMac: PROBE_MAC,
        senderIp: "10.0.0.250",
        targetMac: "00:00:00:00:00:00",
        targetIp: "10.0.0.1",
      },
    },
  ]);
  at(3);
  receive(arpAnswer());
  t.deepEqual(exchange.outcome, { answered: true, answer: GATEWAY_MAC, rttNs: 3n * MS });
  t.is(exchange.deadline, null);
});

test("ARP: without a probe address the sender is 0.0.0.0, as RFC 5227 has it, and the reply is to that", (t) => {
  const { exchange, state, receive } = bench(arpRequest({ ...arpQuestion, probeAddress: undefined }));
  exchange.start();
  t.is(state.sent[0]?.kind === "arp" && state.sent[0].arp.senderIp, "0.0.0.0");
  receive(arpAnswer()); // to 10.0.0.250: not to us
  t.is(exchange.outcome, null);
  receive(arpAnswer({ targetIp: "0.0.0.0" }));
  t.true(exchange.outcome?.answered);
});

test("ARP: a reply may be broadcast", (t) => {
  const { exchange, receive } = bench(arpRequest(arpQuestion));
  exchange.start();
  receive(arpAnswer({}, { destination: "ff:ff:ff:ff:ff:ff" }));
  t.true(exchange.outcome?.answered);
});

const strangers: readonly (readonly [string, Frame])[] = [
  ["in another VLAN", arpAnswer({}, { vlan: 200 })],
  ["untagged", arpAnswer({}, { vlan: 0 })],
  ["to another MAC address", arpAnswer({}, { destination: "02:00:00:00:00:77" })],
  ["that is a request", arpAnswer({ operation: "request" })],
  ["from another address", arpAnswer({ senderIp: "10.0.0.2" })],
  ["for another target", arpAnswer({ targetIp: "10.0.0.251" })],
  ["for another target MAC address", arpAnswer({ targetMac: "02:00:00:00:00:77" })],
  ["that claims our own MAC address", arpAnswer({ senderMac: PROBE_MAC })],
  ["that claims a group address", arpAnswer({ senderMac: "01:00:5e:00:00:01" })],
];
for (const [name, frame] of strangers) {
  test(`ARP: a reply ${name} is not the gateway's`, (t) => {
    const { exchange, receive } = bench(arpRequest(arpQuestion));
    exchange.start();
    receive(frame);
    t.is(exchange.outcome, null);
  });
}

test("a lost first try is followed by a second after 1 s, whose reply is timed from the second", (t) => {
  const { exchange, state, at, receive } = bench(arpRequest(arpQuestion));
  exchange.start();
  t.is(exchange.deadline, 1000n * MS);
  at(999.9);
  exchange.advance();
  t.is(state.sent.length, 1);
  at(1000);
  exchange.advance();
  t.is(state.sent.length, 2);
  at(1002);
  receive(arpAnswer());
  t.deepEqual(exchange.outcome, { answered: true, answer: GATEWAY_MAC, rttNs: 2n * MS });
});

test("after three tries, 1 s apart, and 1 s more there is no answer, and a later reply changes nothing", (t) => {
  const { exchange, state, at, receive } = bench(arpRequest(arpQuestion));
  exchange.start();
  for (const ms of [1000, 2000]) {
    at(ms);
    exchange.advance();
  }
  t.is(exchange.outcome, null);
  at(3000);
  exchange.advance();
  t.deepEqual(exchange.outcome, { answered: false });
  t.is(state.sent.length, 3);
  receive(arpAnswer());
  exchange.advance();
  t.deepEqual(exchange.outcome, { answered: false });
  t.is(state.sent.length, 3);
});

test("ARP: a reply that reached the host before the second try is timed from the first, however late it is read", (t) => {
  const { exchange, at, state } = bench(arpRequest(arpQuestion));
  exchange.start();
  at(1500);
  exchange.advance();
  t.is(state.sent.length, 2);
  exchange.receive(arpAnswer(), 4n * MS);
  t.deepEqual(exchange.outcome, { answered: true, answer: GATEWAY_MAC, rttNs: 4n * MS });
});

test("a time of arrival before anything was sent never makes a negative time", (t) => {
  const { exchange, at } = bench(arpRequest(arpQuestion));
  at(10);
  exchange.start();
  at(12);
  exchange.receive(arpAnswer(), 5n * MS);
  t.deepEqual(exchange.outcome, { answered: true, answer: GATEWAY_MAC, rttNs: 2n * MS });
});

test("nothing is taken before the start", (t) => {
  const { exchange, receive } = bench(arpRequest(arpQuestion));
  receive(arpAnswer());
  t.is(exchange.outcome, null);
  t.is(exchange.deadline, null);
});

test("ICMP: an echo goes to the gateway's MAC address and its reply gives the time", (t) => {
  const { exchange, state, at, receive } = bench(echoRequest({ ...echoQuestion, random: seeded() }));
  exchange.start();
  const [request] = state.sent;
  t.deepEqual(request?.ethernet, { destination: GATEWAY_MAC, source: PROBE_MAC, vlan: 100 });
  at(0.5);
  receive(echoAnswer(request));
  t.deepEqual(exchange.outcome, { answered: true, answer: null, rttNs: 500_000n });
});

test("ICMP: every try has its own identifier and sequence, and a late reply is timed from its own try", (t) => {
  const { exchange, state, at, receive } = bench(echoRequest({ ...echoQuestion, random: seeded() }));
  exchange.start();
  at(1000);
  exchange.advance();
  const [first, second] = state.sent;
  if (first?.kind !== "echo" || second?.kind !== "echo") return t.fail();
  t.not(first.echo.identifier, second.echo.identifier);
  t.not(first.echo.sequence, second.echo.sequence);
  at(1300);
  receive(echoAnswer(first));
  t.deepEqual(exchange.outcome, { answered: true, answer: null, rttNs: 1300n * MS });
});

const spoofs: readonly (readonly [string, Partial<Echo>, Partial<Frame["ethernet"]>])[] = [
  ["of another sequence", { sequence: 1 }, {}],
  ["of another identifier", { identifier: 1 }, {}],
  ["from another address", { sourceIp: "10.0.0.2" }, {}],
  ["to another address", { destinationIp: "10.0.0.251" }, {}],
  ["in another VLAN", {}, { vlan: 200 }],
  ["to another MAC address", {}, { destination: "ff:ff:ff:ff:ff:ff" }],
  ["that is our request come back", { type: "request" }, {}],
];
for (const [name, echo, ethernet] of spoofs) {
  test(`ICMP: a reply ${name} is ignored`, (t) => {
    const { exchange, state, receive } = bench(echoRequest({ ...echoQuestion, random: seeded() }));
    exchange.start();
    receive(echoAnswer(state.sent[0], echo, ethernet));
    t.is(exchange.outcome, null);
    receive(echoAnswer(state.sent[0]));
    t.true(exchange.outcome?.answered);
  });
}

test("ICMP: a reply from another MAC address than ARP told counts, as from a router of a VRRP group", (t) => {
  const { exchange, state, receive } = bench(echoRequest({ ...echoQuestion, random: seeded() }));
  exchange.start();
  receive(echoAnswer(state.sent[0], {}, { source: "02:00:00:00:00:aa" }));
  t.true(exchange.outcome?.answered);
});

test("a request for our address is answered in its VLAN to who asked, also an RFC 5227 probe for it", (t) => {
  const ask = (change: Partial<Arp> = {}): Frame =>
    arpAnswer(
      { operation: "request", targetMac: "00:00:00:00:00:00", ...change },
      { destination: "ff:ff:ff:ff:ff:ff" },
    );
  const answer = (senderIp: string): Uint8Array =>
    buildArp(
      { destination: GATEWAY_MAC, source: PROBE_MAC, vlan: 100 },
      {
        operation: "reply",
        senderMac: PROBE_MAC,
        senderIp: "10.0.0.250",
        targetMac: GATEWAY_MAC,
        targetIp: senderIp,
      },
    );
  t.deepEqual(arpReply(ask(), "10.0.0.250", PROBE_MAC), answer("10.0.0.1"));
  t.deepEqual(arpReply(ask({ senderIp: "0.0.0.0" }), "10.0.0.250", PROBE_MAC), answer("0.0.0.0"));
  t.is(arpReply(ask({ targetIp: "10.0.0.251" }), "10.0.0.250", PROBE_MAC), null);
  t.is(arpReply(arpAnswer(), "10.0.0.250", PROBE_MAC), null);
  t.is(arpReply(ask({ senderMac: PROBE_MAC }), "10.0.0.250", PROBE_MAC), null);
});
