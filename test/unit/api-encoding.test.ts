/** JSON and protobuf, both ways, by Content-Type and Accept. */
import test from "ava";
import fc from "fast-check";
import { portwright } from "../../daemon/api/generated/portwright.pb.js";
import { chooseMediaType } from "../../daemon/api/media-type.ts";
import { startTestApi } from "./api-fake.ts";
import { attachment, attachRequest } from "./api-samples.ts";

const v1 = portwright.v1;
const PROTOBUF = "application/x-protobuf";
const asProtobuf = { "content-type": PROTOBUF };
const body = Buffer.from(v1.AttachRequest.encode(attachRequest).finish());

test("a request in protobuf is answered in protobuf, with the same content as in JSON", async (t) => {
  const { cni, close } = await startTestApi();
  t.teardown(close);
  const made = await cni("POST", "/v1/attachments", { body, headers: asProtobuf });
  t.is(made.status, 201);
  t.is(made.headers["content-type"], PROTOBUF);
  const message = v1.Attachment.decode(made.body);
  t.is(message.id, "c1/eth0");
  t.is(message.netns?.inode?.toString(), "4026533000");

  const inJson = (await cni("GET", "/v1/attachments/c1%2Feth0")).json;
  const plain = v1.Attachment.toObject(message, { longs: String, arrays: true });
  // proto3 does not send what has its default
  const defaults = { hairpin: false, spoofCheck: false, masquerade: false, containerDown: false };
  t.deepEqual({ isolated: false, fdbLimit: 0, ...defaults, ...plain }, inJson);
});

test("what a port was asked for is told in either form", async (t) => {
  const { cni, backend, close } = await startTestApi();
  t.teardown(close);
  const plain = attachment(attachRequest);
  const wants = { hairpin: true, spoofCheck: true, masquerade: true, containerDown: true };
  backend.store.set(plain.id, { ...plain, ...wants, vlans: { mode: "access", vlan: 7, defaultVlan: true } });
  const told = { ...wants, vlans: { mode: "access", vlan: 7, defaultVlan: true } };
  t.like((await cni("GET", "/v1/attachments/c1%2Feth0")).json, told);
  const { body: bytes } = await cni("GET", "/v1/attachments/c1%2Feth0", { headers: { accept: PROTOBUF } });
  t.like(v1.Attachment.toObject(v1.Attachment.decode(bytes)), told);
});

test("a gated attachment is asked for, told, and opened in either form", async (t) => {
  const { cni, close } = await startTestApi();
  t.teardown(close);
  const gated = Buffer.from(v1.AttachRequest.encode({ ...attachRequest, state: "gated" }).finish());
  const made = await cni("POST", "/v1/attachments", { body: gated, headers: asProtobuf });
  t.is(v1.Attachment.decode(made.body).state, "gated");
  t.is((await cni("GET", "/v1/attachments/c1%2Feth0")).json.state, "gated");
  const opened = await cni("POST", "/v1/attachments/c1%2Feth0/open", { headers: { accept: PROTOBUF } });
  t.is(opened.status, 200);
  t.is(v1.Attachment.decode(opened.body).state, "ready");
  t.is((await cni("POST", "/v1/attachments/c1%2Feth0/open")).json.state, "ready");
  t.is((await cni("POST", "/v1/attachments/c9%2Feth0/open")).status, 404);

  const { state: _state, ...others } = attachRequest;
  const plain = v1.AttachRequest.encode({ ...others, containerId: "c2" }).finish();
  const open = await cni("POST", "/v1/attachments", { body: Buffer.from(plain), headers: asProtobuf });
  t.is(v1.Attachment.decode(open.body).state, "ready", "absent in protobuf: open");
  const wrong = { ...attachRequest, containerId: "c3", state: "pending" };
  t.is((await cni("POST", "/v1/attachments", { body: wrong })).status, 400);
});

test("each direction chooses its own form", async (t) => {
  const { cni, close } = await startTestApi();
  t.teardown(close);
  const json = await cni("POST", "/v1/attachments", { body, headers: { ...asProtobuf, accept: "application/json" } });
  t.is(json.json.id, "c1/eth0");
  const list = await cni("GET", "/v1/attachments", { headers: { accept: PROTOBUF } });
  t.is(v1.AttachmentList.decode(list.body).attachments[0]?.id, "c1/eth0");
  const one = await cni("GET", "/v1/attachments/c1%2Feth0", {
    headers: { accept: `${PROTOBUF}, application/json;q=0.5` },
  });
  t.is(v1.Attachment.decode(one.body).id, "c1/eth0");
});

test("errors come in the form that the client takes", async (t) => {
  const { cni, close } = await startTestApi();
  t.teardown(close);
  const missing = await cni("GET", "/v1/attachments/c1%2Feth0", { headers: { accept: PROTOBUF } });
  t.is(missing.status, 404);
  t.is(missing.headers["content-type"], PROTOBUF);
  t.like(v1.Error.decode(missing.body), {
    code: "ATTACHMENT_UNKNOWN",
    help: "List attachments with GET /v1/attachments.",
  });

  const empty = await cni("POST", "/v1/attachments", { body: Buffer.alloc(0), headers: asProtobuf });
  t.is(empty.status, 400);
  t.like(v1.Error.decode(empty.body), { code: "REQUEST_INVALID" });
});

test("bytes that are no message are refused", async (t) => {
  const { cni, backend, close } = await startTestApi();
  t.teardown(close);
  for (const bytes of [Buffer.from([0x0a, 0xff, 0x01]), Buffer.from("{}")]) {
    const answer = await cni("POST", "/v1/attachments", {
      body: bytes,
      headers: { ...asProtobuf, accept: "application/json" },
    });
    t.is(answer.status, 400);
    t.is(answer.json.error.code, "REQUEST_INVALID");
  }
  t.is(backend.store.size, 0);
});

test("other content types are refused with 415, other Accepts with 406 and before any work", async (t) => {
  const { cni, backend, rejected, close } = await startTestApi();
  t.teardown(close);
  for (const type of ["text/plain", "application/x-www-form-urlencoded", "nonsense"]) {
    const answer = await cni("POST", "/v1/attachments", { body: "a=b", headers: { "content-type": type } });
    t.is(answer.status, 415);
    t.is(answer.json.error.code, "MEDIA_TYPE_UNSUPPORTED");
  }
  const onCni = await cni("POST", "/cni", { body, headers: asProtobuf });
  t.is(onCni.status, 415);
  const accept = await cni("POST", "/v1/attachments", { body: attachRequest, headers: { accept: "image/png" } });
  t.is(accept.status, 406);
  t.is(accept.json.error.code, "NOT_ACCEPTABLE");
  t.is(backend.store.size, 0);
  t.deepEqual(new Set(rejected), new Set(["media_type"] as const));
});

test("a media type is chosen as RFC 9110 says", (t) => {
  const offered = ["application/json", PROTOBUF] as const;
  const cases: [string | undefined, string | null][] = [
    [undefined, "application/json"],
    ["", "application/json"],
    ["*/*", "application/json"],
    ["application/*;q=0.1", "application/json"],
    [PROTOBUF, PROTOBUF],
    [`application/json;q=0.2, ${PROTOBUF};q=0.9`, PROTOBUF],
    [`*/*, application/json;q=0`, PROTOBUF],
    ["APPLICATION/X-PROTOBUF", PROTOBUF],
    ["application/json;q=0", null],
    ["text/html", null],
    ["application/json;q=banana", null],
  ];
  for (const [accept, expected] of cases)
    t.is<string | null, string | null>(chooseMediaType(accept, offered), expected, String(accept));
});

test("any Accept header gives an answer or null", (t) => {
  fc.assert(fc.property(fc.string(), (accept) => ["a/b", null].includes(chooseMediaType<string>(accept, ["a/b"]))));
  t.pass();
});
