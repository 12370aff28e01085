/** What the plugin executable takes in and sends to the daemon. */
import { rmSync, writeFileSync } from "node:fs";
import { connect, createServer } from "node:net";
import test from "ava";
import { conf, freshSocket, json, listen, run, serve, socketFile, socketFileDir, useShim } from "../support/shim.ts";
import { sayAtOnce } from "../support/say-at-once.ts";
import { BY_PLUGIN_CALLS, startTestApi } from "../unit/api-fake.ts";

useShim();

test("without CNI_COMMAND it tells what it is, on stderr", async (t) => {
  for (const command of [undefined, ""]) {
    const out = await run(command, "");
    t.is(out.code, 0);
    t.is(out.stdout, "");
    t.regex(out.stderr, /^CNI portwright plugin \d+\.\d+\.\d+\nCNI protocol versions supported: 0\.1\.0, .*1\.1\.0\n$/);
  }
});

test("the daemon takes its words without the HTTP server", async (t) => {
  const api = await startTestApi();
  t.teardown(api.close);
  const path = freshSocket();
  const words: Buffer[] = [];
  const between = createServer((plugin) => {
    const daemon = connect({ path: api.api.addresses.cni });
    plugin.on("data", (bytes) => words.push(bytes));
    plugin.pipe(daemon).pipe(plugin);
  });
  await listen(t, between, path);
  const out = await run("ADD", conf(path), { CNI_NETNS: "/run/netns/x" });
  t.is(out.code, 0, out.stderr);
  t.regex(await sayAtOnce(api.api.addresses.cni, Buffer.concat(words)).answer, BY_PLUGIN_CALLS);
  t.is(api.backend.cniCalls.length, 2);
});

test("VERSION is answered without a daemon", async (t) => {
  const supportedVersions = ["0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"];
  for (const [stdin, cniVersion] of [
    ['{"cniVersion":"0.4.0"}', "0.4.0"],
    ["", "1.1.0"],
    ['{"cniVersion":"9"}', "1.1.0"],
    ["garbage", "1.1.0"],
  ] as const) {
    const out = await run("VERSION", stdin);
    t.is(out.code, 0);
    t.deepEqual(JSON.parse(out.stdout), { cniVersion, supportedVersions });
  }
});

test("CNI_* and stdin go to POST /cni, and nothing else of the environment", async (t) => {
  const path = freshSocket();
  const seen = await serve(t, path, json({ exitCode: 0, stdout: "out", stderr: "err" }));
  const stdin = conf(path, { odd: 'q"\\\u0001\n\té😀' });
  const out = await run("ADD", stdin, {
    SECRET: "x",
    CNI_ARGS: 'a="b\\c"',
    PORTWRIGHT_SOCKET: "/nope",
    CNI_NETNS: "/ns",
  });
  t.deepEqual(out, { code: 0, stdout: "out", stderr: "err" });
  t.is(seen.length, 1);
  t.like(seen[0], { method: "POST", url: "/cni" });
  t.like(seen[0]?.headers, { "content-type": "application/json", connection: "close" });
  t.deepEqual(JSON.parse(seen[0]?.body ?? ""), {
    env: {
      CNI_COMMAND: "ADD",
      CNI_CONTAINERID: "c1",
      CNI_IFNAME: "eth0",
      CNI_PATH: "/usr/lib/cni",
      CNI_ARGS: 'a="b\\c"',
      CNI_NETNS: "/ns",
    },
    stdin,
  });
});

test("stdin may have any bytes and 1 MiB, and not more", async (t) => {
  const path = freshSocket();
  const seen = await serve(t, path, json({ exitCode: 0, stdout: "", stderr: "" }));
  const head = conf(path).slice(0, -1);
  const filler = Buffer.alloc((1 << 20) - head.length - 8, 1);
  const most = Buffer.concat([Buffer.from(`${head},"x":"`), filler, Buffer.from('"}')]);
  t.is(most.length, 1 << 20);
  writeFileSync(socketFileDir(), path);
  t.teardown(() => rmSync(socketFile));
  t.is((await run("ADD", most)).code, 0);
  t.is(JSON.parse(seen[0]?.body ?? "").stdin, most.toString());
  const out = await run("ADD", Buffer.concat([most, Buffer.from(" ")]));
  t.like(JSON.parse(out.stdout), { code: 7, msg: "the network configuration is longer than 1 MiB" });
  t.is(seen.length, 1);

  const bytes = Buffer.from(Array.from({ length: 256 }, (_, i) => i));
  t.is((await run("DEL", bytes)).code, 0);
  t.is(JSON.parse(seen[1]?.body ?? "").stdin, bytes.toString());
});

test("an unknown command is error 4, with its bytes escaped", async (t) => {
  const out = await run('A"\n', "{}");
  t.is(out.code, 1);
  t.deepEqual(JSON.parse(out.stdout), { cniVersion: "1.1.0", code: 4, msg: "unknown CNI_COMMAND", details: 'A"\n' });
});
