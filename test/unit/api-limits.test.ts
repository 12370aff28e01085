/** What one client may cost: size, connections, time, work in flight. */
import { connect, type Socket } from "node:net";
import test from "ava";
import { startTestApi } from "./api-fake.ts";
import { attachRequest } from "./api-samples.ts";

test("a body of 1 MiB is refused with a code, also when its length is not told", async (t) => {
  const { cni, backend, rejected, close } = await startTestApi();
  t.teardown(close);
  const body = JSON.stringify({ ...attachRequest, network: "x".repeat(1 << 20) });
  const told = await cni("POST", "/v1/attachments", { body });
  t.is(told.status, 413);
  t.is(told.json.error.code, "REQUEST_TOO_LARGE");
  const chunked = await cni("POST", "/v1/attachments", { body, headers: { "transfer-encoding": "chunked" } });
  t.is(chunked.status, 413);
  const onCni = await cni("POST", "/cni", { body: JSON.stringify({ env: {}, stdin: "x".repeat(1 << 20) }) });
  t.is(onCni.status, 413);
  t.is(JSON.parse(onCni.json.stdout).code, 7);
  t.true(rejected.every((reason) => reason === "too_large"));
  t.is(backend.store.size, 0);
});

test("a body without an end is cut off", async (t) => {
  const { api, close } = await startTestApi();
  t.teardown(close);
  const socket = connect({ path: api.addresses.cni });
  socket.on("error", () => {});
  socket.write("POST /cni HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n");
  const chunk = Buffer.concat([Buffer.from("10000\r\n"), Buffer.alloc(0x10000, 32), Buffer.from("\r\n")]);
  let sent = 0;
  const pump = () => {
    while (!socket.destroyed && socket.write(chunk)) sent += chunk.length;
    sent += chunk.length;
  };
  socket.on("drain", pump);
  socket.resume();
  pump();
  await new Promise((resolve) => socket.once("close", resolve));
  t.true(sent < 32 << 20, `${sent} bytes were taken`);
});

test("256 KiB are fine", async (t) => {
  const { cni, backend, close } = await startTestApi();
  t.teardown(close);
  const shell = JSON.stringify({ env: {}, stdin: "" }).length;
  const call = { env: {}, stdin: "x".repeat(256 * 1024 - shell) };
  t.is((await cni("POST", "/cni", { body: call })).status, 200);
  t.is(backend.cniCalls[0]?.stdin.length, call.stdin.length);
  t.is((await cni("POST", "/cni", { body: { ...call, stdin: `${call.stdin}x` } })).status, 413);
});

test("the 65th connection is told BUSY, and above twice the limit none is taken", async (t) => {
  const { api, read, rejected, close } = await startTestApi();
  const idle: Socket[] = [];
  t.teardown(async () => {
    for (const socket of idle) socket.destroy();
    await close();
  });
  const hold = async (count: number) => {
    for (let i = 0; i < count; i++) {
      const socket = connect({ path: api.addresses.read });
      socket.on("error", () => {});
      idle.push(socket);
      await new Promise((resolve) => socket.once("connect", resolve));
    }
  };
  await hold(63);
  t.is((await read("GET", "/healthz")).status, 200);
  await hold(1);
  const busy = await read("GET", "/healthz");
  t.is(busy.status, 503);
  t.is(busy.json.error.code, "BUSY");
  t.is(busy.headers.connection, "close");
  t.deepEqual(rejected, ["busy"]);
  await hold(64);
  const refused = await t.throwsAsync(read("GET", "/healthz"));
  t.regex((refused as NodeJS.ErrnoException).code ?? "", /^(ECONNRESET|EPIPE)$/);

  for (const socket of idle) socket.destroy();
  await new Promise((resolve) => setTimeout(resolve, 50));
  t.is((await read("GET", "/healthz")).status, 200);
});

test("headers that do not come are not waited for", async (t) => {
  const { api, rejected, close } = await startTestApi({ limits: { headerTimeout: 200, requestTimeout: 400 } });
  t.teardown(close);
  for (const start of ["", "GET /v1/status HTTP/1.1\r\nhost:"]) {
    const socket = connect({ path: api.addresses.read });
    if (start) socket.write(start);
    let text = "";
    for await (const chunk of socket) text += String(chunk);
    t.regex(text, /^HTTP\/1\.1 408 /);
    t.regex(text, /"code":"REQUEST_TIMEOUT"/);
  }
  t.deepEqual(rejected, ["timeout", "timeout"]);
});

test("a body that does not come is not waited for", async (t) => {
  const { api, backend, close } = await startTestApi({ limits: { headerTimeout: 200, requestTimeout: 400 } });
  t.teardown(close);
  const socket = connect({ path: api.addresses.cni });
  socket.write("POST /cni HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 9\r\n\r\n{");
  let text = "";
  for await (const chunk of socket) text += String(chunk);
  t.regex(text, /^HTTP\/1\.1 408 /);
  t.is(backend.cniCalls.length, 0);
});

test("attach work above the bound is told BUSY, CNI code 11, and what is in flight goes on", async (t) => {
  const { cni, backend, close } = await startTestApi({ limits: { work: 2 } });
  t.teardown(close);
  let letGo = () => {};
  const gate = new Promise<void>((resolve) => {
    letGo = resolve;
  });
  let waiting = 0;
  const bothIn = new Promise<void>((resolve) => {
    backend.before = () => {
      if (++waiting === 2) resolve();
      return gate;
    };
  });
  const inFlight = [
    cni("POST", "/v1/attachments", { body: attachRequest }),
    cni("POST", "/cni", { body: { env: {}, stdin: "" } }),
  ];
  await bothIn;
  const api = await cni("POST", "/v1/attachments", { body: { ...attachRequest, containerId: "c2" } });
  t.is(api.status, 503);
  t.is(api.json.error.code, "BUSY");
  t.is(api.headers["retry-after"], "1");
  const call = await cni("POST", "/cni", { body: { env: {}, stdin: "" } });
  t.is(call.status, 503);
  t.is(JSON.parse(call.json.stdout).code, 11);
  t.is((await cni("DELETE", "/v1/attachments/c1%2Feth0")).status, 503);
  t.is((await cni("GET", "/v1/attachments")).status, 200);
  letGo();
  t.deepEqual(
    (await Promise.all(inFlight)).map((a) => a.status),
    [201, 200],
  );
  t.is((await cni("DELETE", "/v1/attachments/c1%2Feth0")).status, 204);
});
