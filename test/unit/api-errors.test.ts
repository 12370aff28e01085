/** Every error has a code, says where, and shows nothing of the inside. */
import { request as httpRequest } from "node:http";
import test from "ava";
import { errorTable, PortwrightError } from "../../daemon/errors.ts";
import { KernelError } from "../../daemon/kernel/kernel-error.ts";
import { startTestApi } from "./api-fake.ts";
import { attachRequest } from "./api-samples.ts";

test("a field that is wrong is named", async (t) => {
  const { cni, backend, close } = await startTestApi();
  t.teardown(close);
  const cases: [object, RegExp][] = [
    [{ network: undefined }, /body field "network": is missing/],
    [{ vlan: 5 }, /body field "vlan": is not a field/],
    [{ interface: "sixteen-bytes-16" }, /body field "interface": must match/],
    [{ interface: "a/b" }, /"interface"/],
    [{ interface: "a b" }, /"interface"/],
    [{ interface: "é" }, /"interface"/],
    [{ interface: ".." }, /"interface"/],
    [{ interface: "" }, /"interface"/],
    [{ containerId: "-x" }, /"containerId"/],
    [{ containerId: 7 }, /"containerId": must be string/],
    [{ netns: "relative" }, /"netns"/],
    [{ mac: "02:00" }, /"mac"/],
    [{ addresses: ["10.0.0.1"] }, /"addresses\[0\]"/],
    [{ addresses: "10.0.0.1/24" }, /"addresses": must be array/],
  ];
  for (const [change, expected] of cases) {
    const answer = await cni("POST", "/v1/attachments", { body: { ...attachRequest, ...change } });
    t.is(answer.status, 400, JSON.stringify(change));
    t.is(answer.json.error.code, "REQUEST_INVALID");
    t.regex(answer.json.error.message, expected);
    t.truthy(answer.json.error.help);
  }
  const id = await cni("DELETE", "/v1/attachments/no-slash");
  t.is(id.status, 400);
  t.regex(id.json.error.message, /params field "id"/);
  t.is(backend.store.size, 0);
});

test("a body that is no JSON, too deep, or names what objects inherit is refused", async (t) => {
  const { cni, close, backend } = await startTestApi();
  t.teardown(close);
  const bodies: [string, RegExp][] = [
    ["", /body is empty/],
    ["{", /not JSON/],
    ['"text"', /must be object/],
    ["[".repeat(33) + "]".repeat(33), /deeper than 32/],
    [`{"a":${"[".repeat(100_000)}${"]".repeat(100_000)}}`, /deeper than 32/],
    ['{"__proto__":{"x":1}}', /"__proto__"/],
    ['{"a":[{"constructor":1}]}', /"constructor"/],
    ['{"a":{"prototype":1}}', /"prototype"/],
  ];
  for (const [body, expected] of bodies) {
    const answer = await cni("POST", "/v1/attachments", { body });
    t.is(answer.status, 400, body.slice(0, 40));
    t.is(answer.json.error.code, "REQUEST_INVALID");
    t.regex(answer.json.error.message, expected);
  }
  t.is(backend.store.size, 0);
});

test("32 levels are fine", async (t) => {
  const { cni, close } = await startTestApi();
  t.teardown(close);
  const body = "[".repeat(32) + "]".repeat(32);
  t.regex((await cni("POST", "/v1/attachments", { body })).json.error.message, /must be object/);
});

test("errors of the daemon keep code, status, help and place", async (t) => {
  const { cni, backend, close } = await startTestApi();
  t.teardown(close);
  const place = { file: "/etc/portwright/a.yaml", line: 3, column: 5 };
  backend.before = async () => {
    throw new PortwrightError("NIC_ABSENT", "uplink of oob is down", { place });
  };
  const answer = await cni("POST", "/v1/attachments", { body: attachRequest });
  t.is(answer.status, 409);
  t.deepEqual(answer.json, {
    error: {
      code: "NIC_ABSENT",
      message: "uplink of oob is down",
      help: errorTable.NIC_ABSENT.help,
      place,
    },
  });
});

test("what was not foreseen is INTERNAL: logged with its stack, shown without", async (t) => {
  const { cni, read, backend, records, close } = await startTestApi();
  t.teardown(close);
  const cause = new Error("secret detail");
  backend.before = async () => {
    throw cause;
  };
  for (const answer of [
    await cni("POST", "/v1/attachments", { body: attachRequest }),
    await read("GET", "/v1/status"),
  ]) {
    t.is(answer.status, 500);
    t.is(answer.json.error.code, "INTERNAL");
    t.false(/secret|\.ts|at /.test(answer.text));
  }
  const logged = records.filter((r) => r.level === "error");
  t.is(logged.length, 2);
  t.is(logged[0]?.fields.error, cause);
});

test("the kernel's refusal is passed on in its own words", async (t) => {
  const { cni, backend, close } = await startTestApi();
  t.teardown(close);
  backend.before = async () => {
    throw new KernelError({
      code: "EPERM",
      errno: 1,
      op: "RTM_NEWLINK",
      object: "x",
      kernelText: "no",
      message: "RTM_NEWLINK x: EPERM: no",
    });
  };
  const answer = await cni("DELETE", "/v1/attachments/c1%2Feth0");
  t.is(answer.status, 500);
  t.like(answer.json.error, { code: "KERNEL", message: "RTM_NEWLINK x: EPERM: no" });
});

test("unknown paths and unreadable ones are coded", async (t) => {
  const { read, cni, close } = await startTestApi();
  t.teardown(close);
  t.like((await read("GET", "/nowhere")).json.error, { code: "NOT_FOUND", message: "there is no GET /nowhere" });
  t.like((await cni("GET", "/v1/attachments/%zz")).json.error, { code: "REQUEST_INVALID" });
  t.like((await cni("GET", `/v1/attachments/${"a".repeat(600)}`)).json.error, { code: "REQUEST_INVALID" });
});

test("what is not HTTP gets a coded answer and its connection is closed", async (t) => {
  const { api, close, rejected } = await startTestApi();
  t.teardown(close);
  const { connect } = await import("node:net");
  const socket = connect({ path: api.addresses.read });
  socket.write("hello\r\n\r\n");
  let text = "";
  for await (const chunk of socket) text += String(chunk);
  t.regex(text, /^HTTP\/1\.1 400 /);
  t.regex(text, /"code":"REQUEST_INVALID"/);
  t.deepEqual(rejected, ["invalid"]);
});

test("the CNI route answers errors as a plugin would print them, beside the coded form", async (t) => {
  const { cni, backend, close } = await startTestApi();
  t.teardown(close);
  backend.before = async () => {
    throw new PortwrightError("NETNS_OWN", "/proc/1/ns/net is the host's own");
  };
  const answer = await cni("POST", "/cni", { body: { env: {}, stdin: '{"cniVersion":"0.4.0"}' } });
  t.is(answer.status, 400);
  t.is(answer.json.exitCode, 1);
  t.is(answer.json.stderr, "");
  t.like(JSON.parse(answer.json.stdout), { cniVersion: "0.4.0", code: 8, msg: "/proc/1/ns/net is the host's own" });
  t.is(answer.json.error.code, "NETNS_OWN");

  const invalid = await cni("POST", "/cni", { body: { env: { PATH: "x" }, stdin: "" } });
  t.is(invalid.status, 400);
  t.like(JSON.parse(invalid.json.stdout), { cniVersion: "1.1.0", code: 7 });
  t.regex(invalid.json.error.message, /PATH/);
});

test("a request cut short leaves the daemon as it was", async (t) => {
  const { api, backend, cni, close } = await startTestApi();
  t.teardown(close);
  await new Promise<void>((resolve) => {
    const req = httpRequest({
      socketPath: api.addresses.cni,
      method: "POST",
      path: "/v1/attachments",
      headers: { "content-type": "application/json", "content-length": "1000" },
    });
    req.on("error", () => resolve());
    req.write('{"network":');
    setImmediate(() => req.destroy());
    req.on("close", () => resolve());
  });
  t.is((await cni("GET", "/v1/attachments")).status, 200);
  t.is(backend.store.size, 0);
});
