/** The plugin executable while the daemon is away or silent. */
import { execFileSync } from "node:child_process";
import { readdirSync } from "node:fs";
import net from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import test from "ava";
import { base, compileShim, conf, freshSocket, json, run, serve, serveRaw, useShim } from "../support/shim.ts";

useShim();

test("with the daemon away CHECK and GC say try again, STATUS says not available", async (t) => {
  const path = freshSocket();
  for (const [command, code] of [
    ["CHECK", 11],
    ["GC", 11],
    ["STATUS", 50],
  ] as const) {
    const out = await run(command, conf(path, { cniVersion: "1.1.0" }));
    t.is(out.code, 1);
    t.like(JSON.parse(out.stdout), { cniVersion: "1.1.0", code });
  }
});

test("with the daemon away a verb that is younger than the configuration is an error of the version", async (t) => {
  const path = freshSocket();
  const at = (command: string, cniVersion?: unknown) => ({ command, cniVersion });
  for (const { command, cniVersion } of [
    ...["GC", "STATUS"].flatMap((verb) => [at(verb, "1.0.0"), at(verb, ""), at(verb)]),
    ...[at("CHECK", "0.3.1"), at("CHECK")],
  ]) {
    const { code, msg } = JSON.parse((await run(command, conf(path, { cniVersion }))).stdout);
    const since = command === "CHECK" ? "0.4.0" : "1.1.0";
    t.deepEqual(
      [code, msg],
      [1, `${command} needs cniVersion ${since} or later`],
      `${command} ${JSON.stringify(cniVersion)}`,
    );
  }
  for (const { command, cniVersion } of [at("CHECK", "0.4.0"), at("CHECK", "1.0.0"), at("CHECK", 1), at("GC", "1.1")])
    t.is(JSON.parse((await run(command, conf(path, { cniVersion }))).stdout).code, 11, JSON.stringify(cniVersion));
});

test("a daemon that is ending sends an ADD away unheard: it is asked again until its successor takes it", async (t) => {
  const path = freshSocket();
  const ending = JSON.stringify({ exitCode: 1, stdout: '{"code":11}', stderr: "" });
  const done = JSON.stringify({ exitCode: 0, stdout: "done", stderr: "" });
  let asked = 0;
  await serve(t, path, (_, response) => {
    const [status, reply] = ++asked < 3 ? [503, ending] : [200, done];
    response.writeHead(status, { "content-length": Buffer.byteLength(reply) }).end(reply);
  });
  t.is((await run("ADD", conf(path))).stdout, "done");
  t.is(asked, 3);
  asked = 0;
  t.is((await run("CHECK", conf(path))).stdout, '{"code":11}', "only what may wait waits");
  t.is(asked, 1);
});

test("ADD waits for a daemon that comes back", async (t) => {
  const path = freshSocket();
  const result = run("ADD", conf(path));
  await sleep(400);
  await serve(t, path, json({ exitCode: 0, stdout: "late", stderr: "" }));
  t.is((await result).stdout, "late");
});

test("ADD gives up after a while, also on a stale socket, with error 11", async (t) => {
  const path = freshSocket();
  const stale = net.createServer();
  await new Promise<void>((resolve) => stale.listen(path, resolve));
  // The file of a daemon that was killed: nobody listens. (Closing the server would remove it.)
  const kept = `${path}.kept`;
  execFileSync("ln", [path, kept]);
  await new Promise((resolve) => stale.close(resolve));
  const out = await run("ADD", conf(kept));
  t.like(JSON.parse(out.stdout), { code: 11, msg: "portwrightd cannot be reached" });
  t.regex(out.stdout, /refused/);
});

test("a daemon that does not answer is given up, and the DEL kept", async (t) => {
  const hasty = compileShim("hasty", "-DPW_TOTAL_MS=700");
  const state = join(base, "unanswered");
  for (const pieces of [[], ["HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{"]]) {
    const path = freshSocket();
    await serveRaw(t, path, pieces, false);
    const out = await run("ADD", conf(path), {}, hasty);
    t.like(JSON.parse(out.stdout), { code: 11, msg: "portwrightd did not answer" });
    t.regex(out.stdout, /in time/);
    t.is((await run("DEL", conf(path, { portwrightStateDir: state }), {}, hasty)).code, 0);
  }
  t.is(readdirSync(join(state, "deletes")).length, 2);
});
