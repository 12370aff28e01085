/** Calls in the CNI plugin's own words: answered without the HTTP server, and by it as soon as anything differs. */
import { connect, type Socket } from "node:net";
import test from "ava";
import { sayAtOnce, untilServersWait } from "../support/say-at-once.ts";
import { BY_PLUGIN_CALLS, startTestApi, type TestApi } from "./api-fake.ts";

const call = { env: { CNI_COMMAND: "ADD", CNI_IFNAME: "eth0" }, stdin: '{"cniVersion":"1.0.0"}' };

/** As native/shim/client.c writes it. */
function words(body: string, length = Buffer.byteLength(body)): string {
  return (
    "POST /cni HTTP/1.1\r\nHost: portwright\r\nContent-Type: application/json\r\n" +
    `Content-Length: ${length}\r\nConnection: close\r\n\r\n${body}`
  );
}

async function say({ api }: TestApi, text: string): Promise<string> {
  await untilServersWait();
  return await sayAtOnce(api.addresses.cni, text).answer;
}

/** Each piece in a write of its own. */
async function stammer({ api }: TestApi, ...pieces: readonly string[]): Promise<string> {
  const socket = connect({ path: api.addresses.cni });
  let text = "";
  socket.setEncoding("utf8").on("data", (chunk: string) => {
    text += chunk;
  });
  const closed = new Promise<void>((resolve, reject) => socket.once("close", () => resolve()).once("error", reject));
  for (const piece of pieces) {
    socket.write(piece);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  await closed;
  return text;
}

function bodyOf(answer: string): unknown {
  return JSON.parse(answer.slice(answer.indexOf("\r\n\r\n") + 4));
}

test("a call in one piece is answered at once; in two it is the HTTP server's, with the same reply", async (t) => {
  const api = await startTestApi();
  t.teardown(api.close);
  const text = words(JSON.stringify({ ...call, stdin: '{"name":"ü€"}' }));
  const quick = await say(api, text);
  t.regex(quick, BY_PLUGIN_CALLS);
  const slow = await stammer(api, text.slice(0, 150), text.slice(150));
  t.regex(slow, /^HTTP\/1\.1 200 OK\r\n/);
  t.notRegex(slow, BY_PLUGIN_CALLS);
  t.deepEqual(bodyOf(quick), { exitCode: 0, stdout: '{"cniVersion":"1.1.0"}', stderr: "" });
  t.deepEqual(bodyOf(slow), bodyOf(quick));
  t.deepEqual(
    api.backend.cniCalls.map(({ stdin }) => stdin),
    ['{"name":"ü€"}', '{"name":"ü€"}'],
  );
});

const REFUSED: readonly (readonly [string, string, number])[] = [
  ["text that is not JSON", words("{"), 400],
  ["another variable than CNI's", words(JSON.stringify({ ...call, env: { PATH: "/" } })), 400],
  ["a variable that is no text", words(JSON.stringify({ ...call, env: { CNI_ARGS: 1 } })), 400],
  ["a field too many", words(JSON.stringify({ ...call, more: 1 })), 400],
  ["a name that objects inherit", words(`{"env":{"CNI_ARGS":"","__proto__":""},"stdin":""}`), 400],
  ["too long a body", words(JSON.stringify({ ...call, stdin: "x".repeat(300_000) })), 413],
  ["no body", words(""), 400],
];
for (const [what, text, status] of REFUSED) {
  test(`${what} is refused by the HTTP server, in the form of a CNI reply`, async (t) => {
    const api = await startTestApi();
    t.teardown(api.close);
    const answer = await (text.length > 100_000 ? stammer(api, text) : say(api, text));
    t.is(Number(answer.slice(9, 12)), status, answer);
    t.notRegex(answer, BY_PLUGIN_CALLS);
    t.like(bodyOf(answer), { exitCode: 1 });
    t.deepEqual(api.backend.cniCalls, []);
  });
}

test("a peer who may not call is refused", async (t) => {
  const api = await startTestApi({ allowedUids: [4711] });
  t.teardown(api.close);
  const answer = await say(api, words(JSON.stringify(call)));
  t.regex(answer, /^HTTP\/1\.1 403 /);
  t.deepEqual(api.backend.cniCalls, []);
});

test("what comes above the bound on work, or on connections, is told to come again", async (t) => {
  for (const limits of [{ work: 1 }, { connections: 1 }]) {
    const api = await startTestApi({ limits });
    const { entered, letGo } = api.backend.hold();
    const first = say(api, words(JSON.stringify(call)));
    await entered;
    const second = await say(api, words(JSON.stringify(call)));
    t.regex(second, /^HTTP\/1\.1 503 /);
    t.like(JSON.parse((bodyOf(second) as { stdout: string }).stdout), { code: 11 });
    letGo();
    t.like(bodyOf(await first), { exitCode: 0 });
    await api.close();
  }
});

test("a failure that nobody foresaw is told without its text", async (t) => {
  const api = await startTestApi();
  t.teardown(api.close);
  api.backend.before = async () => {
    throw new Error("a secret");
  };
  const answer = await say(api, words(JSON.stringify(call)));
  t.regex(answer, /^HTTP\/1\.1 500 INTERNAL\r\n/);
  t.notRegex(answer, /secret/);
  t.like(JSON.parse((bodyOf(answer) as { stdout: string }).stdout), { code: 999, cniVersion: "1.0.0" });
  t.true(api.records.some(({ level, message }) => level === "error" && message === "request failed"));
});

test("a plugin that leaves before its answer harms nobody", async (t) => {
  const api = await startTestApi();
  t.teardown(api.close);
  const { entered, letGo } = api.backend.hold();
  await untilServersWait();
  const plugin = sayAtOnce(api.api.addresses.cni, words(JSON.stringify(call)));
  await entered;
  plugin.leave();
  t.is(await plugin.answer, "");
  letGo();
  api.backend.before = async () => {};
  t.regex(await say(api, words(JSON.stringify(call))), BY_PLUGIN_CALLS);
});

test("an answer that is longer than the socket's buffer comes whole, or is cut with those that do not end", async (t) => {
  const api = await startTestApi({ limits: { grace: 50 } });
  t.teardown(api.close);
  const stdout = "x".repeat(3_000_000);
  api.backend.cni = () => Promise.resolve({ exitCode: 0, stdout, stderr: "" });
  const answer = await say(api, words(JSON.stringify(call)));
  t.regex(answer, BY_PLUGIN_CALLS);
  t.deepEqual(bodyOf(answer), { exitCode: 0, stdout, stderr: "" });

  const called = new Promise<void>((resolve) => {
    api.backend.cni = () => {
      resolve();
      return Promise.resolve({ exitCode: 0, stdout, stderr: "" });
    };
  });
  const said = sayAtOnce(api.api.addresses.cni, words(JSON.stringify(call)), { deaf: true });
  await called;
  await api.api.close();
  said.leave();
  t.is(await said.answer, "");
});

test("at shutdown calls are answered, and who has said nothing is hung up on", async (t) => {
  const api = await startTestApi();
  t.teardown(api.close);
  const silent = connect({ path: api.api.addresses.cni });
  const hungUp = new Promise((resolve) => silent.once("close", resolve));
  await new Promise((resolve) => silent.once("connect", resolve));
  const { entered, letGo } = api.backend.hold();
  const answer = say(api, words(JSON.stringify(call)));
  await entered;
  const closed = api.api.close();
  await hungUp;
  letGo();
  t.like(bodyOf(await answer), { exitCode: 0 });
  await closed;
});

test("at shutdown calls in other words are answered, too", async (t) => {
  const api = await startTestApi();
  t.teardown(api.close);
  const { entered, letGo } = api.backend.hold();
  const answer = say(api, words(JSON.stringify(call)).replace("Host: portwright", "Host: localhost"));
  await entered;
  const closed = api.api.close();
  await untilServersWait();
  letGo();
  t.like(bodyOf(await answer), { exitCode: 0 });
  await closed;
});

test("what comes above twice the bound on connections is hung up on", async (t) => {
  const api = await startTestApi({ limits: { connections: 1, headerTimeout: 60_000, requestTimeout: 60_000 } });
  t.teardown(api.close);
  await untilServersWait();
  const ends = (socket: Socket) => new Promise((resolve) => socket.once("close", resolve));
  const silent = [connect({ path: api.api.addresses.cni }), connect({ path: api.api.addresses.cni })];
  t.teardown(() => silent.forEach((socket) => socket.destroy()));
  await untilServersWait();
  await ends(connect({ path: api.api.addresses.cni }).resume());
  t.deepEqual(
    silent.map(({ readyState }) => readyState),
    ["open", "open"],
  );
});

test("a call that does not end is cut after the grace", async (t) => {
  const api = await startTestApi({ limits: { grace: 50 } });
  t.teardown(api.close);
  const { entered } = api.backend.hold();
  const answer = say(api, words(JSON.stringify(call)));
  await entered;
  await api.api.close();
  t.is(await answer, "");
});

test("a connection that says nothing is told in time that this took too long", async (t) => {
  const api = await startTestApi({ limits: { headerTimeout: 100 } });
  t.teardown(api.close);
  t.regex(await stammer(api), /^HTTP\/1\.1 408 /);
});
