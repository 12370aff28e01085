/** The CNI plugin executable against small servers on unix sockets: what it sends, copies, retries, keeps, refuses. */
import { execFileSync, spawn } from "node:child_process";
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import http from "node:http";
import net from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { type ExecutionContext } from "ava";

const root = join(import.meta.dirname, "../..");
/** The paths that are compiled in lie in here. */
const base = mkdtempSync(join(tmpdir(), `pw-shim-${process.pid}-`));
const shim = join(base, "portwright");
const socketFile = join(base, "etc/cni-socket");
const defaultSocket = join(base, "default.sock");
const defaultState = join(base, "state");

test.before(() => {
  const define = (name: string, value: string) => `-D${name}="${value}"`;
  const options = [
    define("PW_SOCKET_FILE", socketFile),
    define("PW_SOCKET", defaultSocket),
    define("PW_STATE_DIR", defaultState),
  ];
  execFileSync(process.execPath, [join(root, "scripts/build-shim.mjs"), shim, ...options], { stdio: "inherit" });
});
test.after.always(() => rmSync(base, { recursive: true, force: true }));

interface Outcome {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

function run(
  command: string | undefined,
  stdin: string | Buffer,
  env: Record<string, string | undefined> = {},
  program = shim,
): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    const all = { CNI_COMMAND: command, CNI_CONTAINERID: "c1", CNI_IFNAME: "eth0", CNI_PATH: "/usr/lib/cni", ...env };
    const child = spawn(program, [], { env: all, stdio: "pipe" });
    let stdout = "";
    let stderr = "";
    child.stdout.setEncoding("utf8").on("data", (text) => (stdout += text));
    child.stderr.setEncoding("utf8").on("data", (text) => (stderr += text));
    child.stdin.on("error", () => {});
    child.on("error", reject);
    child.on("close", (code) => resolve({ code, stdout, stderr }));
    child.stdin.end(stdin);
  });
}

let counter = 0;
function freshSocket(): string {
  return join(base, `s${counter++}.sock`);
}

interface Seen {
  readonly method: string | undefined;
  readonly url: string | undefined;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: string;
}

type Answer = (request: Seen, response: http.ServerResponse) => void;

async function serve(t: ExecutionContext, path: string, answer: Answer): Promise<Seen[]> {
  const seen: Seen[] = [];
  const server = http.createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk) => chunks.push(chunk));
    request.on("end", () => {
      const one = {
        method: request.method,
        url: request.url,
        headers: request.headers,
        body: Buffer.concat(chunks).toString(),
      };
      seen.push(one);
      answer(one, response);
    });
  });
  await listen(t, server, path);
  return seen;
}

async function listen(t: ExecutionContext, server: net.Server, path: string): Promise<void> {
  await new Promise<void>((resolve) => server.listen(path, resolve));
  t.teardown(() => void server.close());
}

/** Answers each connection with these bytes as soon as the request is in, then closes, if asked to. */
async function serveRaw(
  t: ExecutionContext,
  path: string,
  pieces: readonly (string | Buffer)[],
  close = true,
): Promise<void> {
  const server = net.createServer((socket) => {
    t.teardown(() => socket.destroy());
    socket.on("error", () => {});
    socket.once("data", async () => {
      for (const piece of pieces) {
        socket.write(piece);
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
      if (close) socket.end();
    });
  });
  await listen(t, server, path);
}

function json(reply: object): Answer {
  return (_, response) => {
    const text = JSON.stringify(reply);
    response
      .writeHead(200, { "content-type": "application/json", "content-length": Buffer.byteLength(text) })
      .end(text);
  };
}

const conf = (socket: string, more: object = {}) =>
  JSON.stringify({ cniVersion: "1.0.0", name: "n", type: "portwright", portwrightSocket: socket, ...more });

test("without CNI_COMMAND it tells what it is, on stderr", async (t) => {
  for (const command of [undefined, ""]) {
    const out = await run(command, "");
    t.is(out.code, 0);
    t.is(out.stdout, "");
    t.regex(out.stderr, /^CNI portwright plugin \d+\.\d+\.\d+\nCNI protocol versions supported: 0\.1\.0, .*1\.1\.0\n$/);
  }
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

test("a daemon that does not answer is given up, and the DEL kept", async (t) => {
  const hasty = join(base, "hasty");
  execFileSync(process.execPath, [join(root, "scripts/build-shim.mjs"), hasty, "-DPW_TOTAL_MS=700"], {
    stdio: "inherit",
  });
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

test("an answer of more than 4 MiB is refused", async (t) => {
  const path = freshSocket();
  await serve(t, path, json({ exitCode: 0, stdout: "x".repeat(5 << 20), stderr: "" }));
  const out = await run("ADD", conf(path));
  t.is(JSON.parse(out.stdout).code, 11);
  t.regex(out.stdout, /too long/);
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

function socketFileDir(): string {
  mkdirSync(join(base, "etc"), { recursive: true });
  return socketFile;
}

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

test.serial(
  "the socket is the configuration's, else the fixed file's, else the default; never the environment's",
  async (t) => {
    const named = freshSocket();
    const filed = freshSocket();
    for (const [path, stdout] of [
      [named, "named"],
      [filed, "filed"],
      [defaultSocket, "default"],
    ] as const)
      await serve(t, path, json({ exitCode: 0, stdout, stderr: "" }));
    const env = { CNI_SOCKET: named, PORTWRIGHT_SOCKET: named, PW_SOCKET: named };
    t.is((await run("ADD", "{}", env)).stdout, "default");
    writeFileSync(socketFileDir(), `${filed}\nsecond line\n`);
    t.teardown(() => rmSync(socketFile, { force: true }));
    t.is((await run("ADD", "{}", env)).stdout, "filed");
    t.is((await run("ADD", conf(named), env)).stdout, "named");
    t.is(
      (
        await run(
          "ADD",
          `{"portwrightSocket":"/a","x":{"portwrightSocket":"/b"},"portwrightSocket":${JSON.stringify(named)}}`,
        )
      ).stdout,
      "named",
    );
    t.is((await run("ADD", '{"x":{"portwrightSocket":"/b"}}')).stdout, "filed");

    chmodSync(socketFile, 0o666);
    t.like(JSON.parse((await run("ADD", "{}")).stdout), { code: 7 });
    chmodSync(socketFile, 0o644);
    chownSync(socketFile, 65534, 65534);
    t.like(JSON.parse((await run("ADD", "{}")).stdout), { code: 7 });
    chownSync(socketFile, 0, 0);
    writeFileSync(socketFile, "relative\n");
    t.like(JSON.parse((await run("ADD", "{}")).stdout), { code: 7 });
  },
);

test("a socket path that cannot be one is a clear error", async (t) => {
  const long = await run("ADD", conf(`/${"x".repeat(107)}`));
  t.like(JSON.parse(long.stdout), { code: 7, msg: "the socket's path is longer than 107 bytes" });
  for (const value of ["", "relative/x", 7, null, {}, "/a\u0000b", `/${"x".repeat(5000)}`]) {
    const out = await run("ADD", conf(value as string));
    t.like(
      JSON.parse(out.stdout),
      { code: 7, msg: "portwrightSocket must be an absolute path" },
      String(value).slice(0, 20),
    );
  }
});

test("an unknown command is error 4, with its bytes escaped", async (t) => {
  const out = await run('A"\n', "{}");
  t.is(out.code, 1);
  t.deepEqual(JSON.parse(out.stdout), { cniVersion: "1.1.0", code: 4, msg: "unknown CNI_COMMAND", details: 'A"\n' });
});

test("with the daemon away CHECK and GC say try again, STATUS says not available", async (t) => {
  const path = freshSocket();
  for (const [command, code] of [
    ["CHECK", 11],
    ["GC", 11],
    ["STATUS", 50],
  ] as const) {
    const out = await run(command, conf(path));
    t.is(out.code, 1);
    t.like(JSON.parse(out.stdout), { cniVersion: "1.0.0", code });
  }
});

test("ADD waits for a daemon that comes back", async (t) => {
  const path = freshSocket();
  const result = run("ADD", conf(path));
  await new Promise((resolve) => setTimeout(resolve, 400));
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

test("a DEL that cannot be delivered is kept, and succeeds", async (t) => {
  const state = join(base, "kept");
  const path = freshSocket();
  const stdin = conf(path, { portwrightStateDir: state });
  t.deepEqual(await run("DEL", stdin, { CNI_NETNS: "" }), { code: 0, stdout: "", stderr: "" });
  const dead = freshSocket();
  await serveRaw(t, dead, ["HTTP/1.1 200 OK\r\nContent-Le"]);
  t.is(
    (await run("DEL", conf(dead, { portwrightStateDir: state }))).code,
    0,
    "also when the daemon dies while it works",
  );
  const names = readdirSync(join(state, "deletes")).sort();
  t.is(names.length, 2);
  for (const name of names) t.regex(name, /^\d{12}\.\d{9}-\d+\.json$/);
  const kept = JSON.parse(readFileSync(join(state, "deletes", names[0] ?? ""), "utf8"));
  t.deepEqual(kept, {
    env: { CNI_COMMAND: "DEL", CNI_CONTAINERID: "c1", CNI_IFNAME: "eth0", CNI_PATH: "/usr/lib/cni", CNI_NETNS: "" },
    stdin,
  });
  t.is(statSync(join(state, "deletes")).mode & 0o777, 0o700);
  t.is(statSync(join(state, "deletes", names[0] ?? "")).mode & 0o777, 0o600);
});

test("a DEL that the daemon answers with an error is not kept", async (t) => {
  const state = join(base, "answered");
  const path = freshSocket();
  await serve(t, path, json({ exitCode: 1, stdout: '{"code":7}', stderr: "" }));
  t.is((await run("DEL", conf(path, { portwrightStateDir: state }))).code, 1);
  const refusing = freshSocket();
  await serve(t, refusing, (_, response) => response.writeHead(400, { "content-length": 0 }).end());
  t.is(JSON.parse((await run("DEL", conf(refusing, { portwrightStateDir: state }))).stdout).code, 999);
  t.false(existsSync(state));
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

test("a DEL that can be neither delivered nor kept is error 5", async (t) => {
  const open = join(base, "open");
  mkdirSync(open);
  chmodSync(open, 0o777);
  const link = join(base, "link");
  symlinkSync(base, link);
  const file = join(base, "file");
  writeFileSync(file, "");
  const outs = await Promise.all(
    [open, link, file, join(base, "no/such")].map((state) =>
      run("DEL", conf(freshSocket(), { portwrightStateDir: state })),
    ),
  );
  for (const out of outs) t.like(JSON.parse(out.stdout), { code: 5 }, out.stdout);
  t.deepEqual(readdirSync(open), []);
});

test("without a state directory in the configuration the compiled one is used", async (t) => {
  await run("DEL", conf(freshSocket()));
  t.is(readdirSync(join(defaultState, "deletes")).length, 1);
});

test("whoever listens must be root or this user", async (t) => {
  const path = freshSocket();
  const server = spawn(
    process.execPath,
    [
      "-e",
      `process.setgid(65534);process.setuid(65534);require("net").createServer((s)=>s.end()).listen(process.argv[1],()=>console.log("up"))`,
      path.replace(base, openDirectory()),
    ],
    { stdio: ["ignore", "pipe", "inherit"] },
  );
  t.teardown(() => void server.kill("SIGKILL"));
  await new Promise((resolve) => server.stdout.once("data", resolve));
  const out = await run("ADD", conf(path.replace(base, openDirectory())));
  t.like(JSON.parse(out.stdout), { code: 999, details: "whoever listens there is not root" });
});

let opened = "";
function openDirectory(): string {
  if (opened === "") {
    opened = mkdtempSync(join(tmpdir(), `pw-shim-open-${process.pid}-`));
    chmodSync(opened, 0o777);
  }
  return opened;
}
test.after.always(() => {
  if (opened !== "") rmSync(opened, { recursive: true, force: true });
});
