/** The stream of events: both forms, heartbeats, slow readers, the end. */
import { once } from "node:events";
import { request as httpRequest, type IncomingMessage } from "node:http";
import { connect } from "node:net";
import test from "ava";
import protobuf from "protobufjs/minimal.js";
import type { PortwrightEvent } from "../../daemon/api/backend.ts";
import { portwright } from "../../daemon/api/generated/portwright.pb.js";
import { until } from "../support/until.ts";
import { startTestApi } from "./api-fake.ts";
import { attachment, attachRequest } from "./api-samples.ts";

const time = "2026-01-01T00:00:00.500Z";
const events: readonly PortwrightEvent[] = [
  { type: "attached", time, attachment: attachment(attachRequest) },
  { type: "link-down", time, device: "nic0" },
  { type: "probe", time, network: "vlan100", probe: "arp", success: false, reason: "no-arp-reply" },
  {
    type: "fdb",
    time,
    event: { type: "fdb-move", mac: "02:00:00:00:00:01", switchId: 1, vlan: 100, ifindex: 7, fromIfindex: 8 },
  },
  { type: "condition", time, code: "NIC_ABSENT", object: "ClusterNetwork/oob", message: "line\nbreak" },
  { type: "opened", time, attachment: attachment(attachRequest) },
];

function open(socketPath: string, headers: Record<string, string> = {}): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    httpRequest({ socketPath, path: "/v1/events", agent: false, headers }, resolve).on("error", reject).end();
  });
}

async function* lines(response: IncomingMessage) {
  let rest = "";
  for await (const chunk of response) {
    const parts = (rest + String(chunk)).split("\n");
    rest = parts.pop() ?? "";
    for (const part of parts) yield JSON.parse(part) as Record<string, unknown>;
  }
}

async function next<T>(iterator: AsyncIterator<T>): Promise<T | undefined> {
  const result = await iterator.next();
  return result.done ? undefined : result.value;
}

test("events come one JSON object a line, after a first heartbeat, in the order they happened", async (t) => {
  const { api, backend, close } = await startTestApi();
  t.teardown(close);
  for (const socket of [api.addresses.cni, api.addresses.read]) {
    const response = await open(socket);
    t.is(response.headers["content-type"], "application/x-ndjson");
    const stream = lines(response);
    t.is((await next(stream))?.type, "heartbeat");
    for (const event of events) backend.emit(event);
    const got = [];
    for (let i = 0; i < events.length; i++) got.push(await next(stream));
    t.deepEqual(
      got.map((e) => e?.type),
      events.map((e) => e.type),
    );
    t.like(got[0], { time, attachment: { id: "c1/eth0", vlans: { mode: "trunk", tagged: "100,200-210", native: 1 } } });
    t.deepEqual(got[1], { type: "link-down", time, link: { device: "nic0" } });
    t.deepEqual(got[2]?.probe, { network: "vlan100", probe: "arp", success: false, reason: "no-arp-reply" });
    t.deepEqual(got[3]?.fdb, {
      kind: "fdb-move",
      mac: "02:00:00:00:00:01",
      switchId: 1,
      vlan: 100,
      ifindex: 7,
      fromIfindex: 8,
    });
    t.like(got[5], { type: "opened", attachment: { id: "c1/eth0" } });
    t.deepEqual(got[4]?.condition, { code: "NIC_ABSENT", object: "ClusterNetwork/oob", message: "line\nbreak" });
    response.destroy();
  }
});

test("events come in protobuf with their length before them", async (t) => {
  const { api, backend, close } = await startTestApi();
  t.teardown(close);
  const response = await open(api.addresses.read, { accept: "application/x-protobuf" });
  t.is(response.headers["content-type"], "application/x-protobuf");
  const chunks: Buffer[] = [];
  response.on("data", (chunk: Buffer) => chunks.push(chunk));
  for (const event of events) backend.emit(event);
  const ended = once(response, "end");
  await api.close();
  await ended;
  const reader = protobuf.Reader.create(Buffer.concat(chunks));
  const got: portwright.v1.Event[] = [];
  while (reader.pos < reader.len) got.push(portwright.v1.Event.decodeDelimited(reader));
  t.deepEqual(
    got.map((e) => e.type),
    ["heartbeat", ...events.map((e) => e.type)],
  );
  t.is(got[1]?.timeUnixMs.toString(), String(Date.parse(time)));
  t.is(got[1]?.attachment?.netns?.inode?.toString(), "4026533000");
  t.is(got[2]?.link?.device, "nic0");
  t.is(got[3]?.probe?.reason, "no-arp-reply");
  t.is(got[4]?.fdb?.fromIfindex, 8);
  t.is(got[5]?.condition?.message, "line\nbreak");
  t.is(got[6]?.attachment?.id, "c1/eth0");
});

test("heartbeats tell a quiet stream from a dead one", async (t) => {
  const { api, close } = await startTestApi({ limits: { heartbeat: 20 } });
  t.teardown(close);
  const stream = lines(await open(api.addresses.read));
  for (let i = 0; i < 3; i++) t.is((await next(stream))?.type, "heartbeat");
});

test("a reader that falls behind is cut, with a reason in the log; others go on", async (t) => {
  const { api, backend, records, rejected, close } = await startTestApi({ limits: { streamBuffer: 64 * 1024 } });
  t.teardown(close);
  const quick = lines(await open(api.addresses.read));
  t.is((await next(quick))?.type, "heartbeat");
  const slow = connect({ path: api.addresses.read });
  slow.pause();
  slow.on("error", () => {});
  slow.write("GET /v1/events HTTP/1.1\r\nhost: x\r\n\r\n");
  await until(() => backend.subscribers === 2);

  const message = "x".repeat(4096);
  let sent = 0;
  while (backend.subscribers === 2 && sent < 10_000) {
    backend.emit({ type: "condition", time, code: "X", object: "Y", message });
    sent++;
    t.is((await next(quick))?.type, "condition");
  }
  t.true(sent < 10_000);
  t.is(backend.subscribers, 1);
  t.true(records.some((r) => r.level === "warn" && r.message === "event stream cut: its reader is too slow"));
  t.deepEqual(rejected, ["slow_reader"]);
  backend.emit(events[1]!);
  t.is((await next(quick))?.type, "link-down");
  slow.destroy();
});

test("a client that goes away is forgotten", async (t) => {
  const { api, backend, close } = await startTestApi();
  t.teardown(close);
  const response = await open(api.addresses.read);
  t.is(backend.subscribers, 1);
  response.destroy();
  await until(() => backend.subscribers === 0);
  backend.emit(events[1]!);
  t.is(backend.subscribers, 0);
});

test("streams are bounded in number", async (t) => {
  const { api, read, close } = await startTestApi({ limits: { streams: 2 } });
  t.teardown(close);
  const held = [await open(api.addresses.read), await open(api.addresses.read)];
  const third = await read("GET", "/v1/events");
  t.is(third.status, 503);
  t.is(third.json.error.code, "BUSY");
  for (const response of held) response.destroy();
});

test("at shutdown streams end in order, requests in flight end, new ones are refused", async (t) => {
  const { api, backend, cni, close } = await startTestApi();
  t.teardown(close);
  const response = await open(api.addresses.read);
  const stream = lines(response);
  await next(stream);
  const { entered, letGo } = backend.hold();
  const inFlight = cni("POST", "/v1/attachments", { body: attachRequest });
  await entered;
  const closed = api.close();
  t.is(await next(stream), undefined);
  t.true(response.complete);
  await t.throwsAsync(cni("GET", "/v1/attachments"), { code: "ENOENT" });
  letGo();
  t.is((await inFlight).status, 201);
  await closed;
});

test("at shutdown a request that does not end is cut after the grace", async (t) => {
  const { api, backend, cni, close } = await startTestApi({ limits: { grace: 50 } });
  t.teardown(close);
  const { entered } = backend.hold();
  const inFlight = t.throwsAsync(cni("POST", "/v1/attachments", { body: attachRequest }), { code: "ECONNRESET" });
  await entered;
  await api.close();
  await inFlight;
});
