/** What the plugin executable makes of answers, and of what is none. */
import { existsSync, readdirSync } from "node:fs";
import http from "node:http";
import { join } from "node:path";
import test from "ava";
import { base, conf, freshSocket, json, listen, run, serve, serveRaw, useShim } from "../support/shim.ts";

useShim();

test("stdout, stderr and exit code are copied as they are", async (t) => {
  for (const reply of [
    { exitCode: 0, stdout: "", stderr: "" },
    { exitCode: 1, stdout: '{"code":7}\n', stderr: "line\nline\n" },
    { stderr: 'ünï 😀 \\ " / \b\f\n\r\t \u0000x', exitCode: 0, stdout: "x".repeat(100_000) },
    { exitCode: 1, stdout: "\ud83d\ude00", stderr: "", more: { deep: [[{ a: "}" }]] } },
  ]) {
    const path = freshSocket();
    await serve(t, path, json(reply));
    t.deepEqual(await run("DEL", conf(path)), { code: reply.exitCode, stdout: reply.stdout, stderr: reply.stderr });
  }
});

test("an answer in escapes, in small pieces, or without a length is understood", async (t) => {
  const body = String.raw`{"exitCode":0,"stdout":"\u0041\u00e9\ud83d\ude00\/","stderr":"\ud800x"}`;
  for (const pieces of [
    [`HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n${body}`],
    ["HTTP/1.1 200 O", "K\r\ncontent-LENGTH:", `${body.length}\r\n\r`, `\n${body.slice(0, 9)}`, body.slice(9)],
    [`HTTP/1.1 200 OK\r\nX: y\r\n\r\n${body}`],
  ]) {
    const path = freshSocket();
    await serveRaw(t, path, pieces);
    t.deepEqual(await run("ADD", conf(path)), { code: 0, stdout: "Aé😀/", stderr: "\ufffdx" });
  }
});

test("an answer that is whole is taken without waiting for the connection to close", async (t) => {
  const path = freshSocket();
  const body = '{"exitCode":0,"stdout":"yes","stderr":""}';
  await serveRaw(t, path, [`HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n${body}`], false);
  t.is((await run("ADD", conf(path))).stdout, "yes");
});

test("an answer that is none is error 11, once, with the reason", async (t) => {
  const ok = (body: string) => `HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
  const cases: [string, RegExp][] = [
    ["", /closed the connection/],
    ["HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{}", /closed the connection/],
    ["SSH-2.0-x\r\n\r\n", /not HTTP/],
    ["HTTP/1.1 20x OK\r\n\r\n", /not HTTP/],
    ["HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n", /not HTTP/],
    ["HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n{}", /not HTTP/],
    ["HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n{}", /not HTTP/],
    [ok("{}"), /cannot be read/],
    [ok("[]"), /cannot be read/],
    [ok('{"exitCode":2,"stdout":"","stderr":""}'), /cannot be read/],
    [ok('{"exitCode":"0","stdout":"","stderr":""}'), /cannot be read/],
    [ok('{"exitCode":0,"stdout":7,"stderr":""}'), /cannot be read/],
    [ok('{"exitCode":0,"stdout":"'), /cannot be read/],
    [ok(String.raw`{"exitCode":0,"stdout":"\x","stderr":""}`), /cannot be read/],
    ["HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n", /HTTP status 503/],
  ];
  for (const [bytes, why] of cases) {
    const path = freshSocket();
    await serveRaw(t, path, [bytes]);
    const out = await run("ADD", conf(path));
    t.is(out.code, 1, bytes);
    const error = JSON.parse(out.stdout);
    t.like(error, { cniVersion: "1.0.0", code: 11 }, bytes);
    t.regex(error.details, why);
  }
});

test("an answer of more than 4 MiB is refused", async (t) => {
  const path = freshSocket();
  await serve(t, path, json({ exitCode: 0, stdout: "x".repeat(5 << 20), stderr: "" }));
  const out = await run("ADD", conf(path));
  t.is(JSON.parse(out.stdout).code, 11);
  t.regex(out.stdout, /too long/);
});

test("a server that refuses a long body while it is being sent is heard", async (t) => {
  const path = freshSocket();
  const server = http.createServer((_, response) =>
    response.writeHead(413, { connection: "close", "content-length": 0 }).end(),
  );
  await listen(t, server, path);
  const out = await run("ADD", conf(path, { x: "x".repeat(900_000) }));
  t.is(out.code, 1);
  t.true([7, 11].includes(JSON.parse(out.stdout).code), out.stdout);
});

test("a refusal in the form of a CNI reply is passed on; a DEL that the daemon is too busy for is kept", async (t) => {
  const state = join(base, "busy");
  const reply = JSON.stringify({ exitCode: 1, stdout: '{"code":11}', stderr: "" });
  for (const [status, kept] of [
    [400, 0],
    [413, 0],
    [429, 1],
    [503, 2],
  ] as const) {
    const path = freshSocket();
    await serve(t, path, (_, response) => response.writeHead(status, { "content-length": reply.length }).end(reply));
    t.deepEqual(await run("ADD", conf(path)), { code: 1, stdout: '{"code":11}', stderr: "" }, String(status));
    t.is((await run("DEL", conf(path, { portwrightStateDir: state }))).code, status < 429 ? 1 : 0, String(status));
    t.is(existsSync(state) ? readdirSync(join(state, "deletes")).length : 0, kept);
  }
});
