/** Who may call: real SO_PEERCRED, a peer that has given up root, and what cannot be known. */
import { spawn } from "node:child_process";
import { chmodSync } from "node:fs";
import { createRequire } from "node:module";
import test from "ava";
import { type HostAddon, nativeHost } from "../../daemon/kernel/native-host.ts";
import { rootPeer, startTestApi, type TestApi } from "./api-fake.ts";
import { attachRequest } from "./api-samples.ts";

const addon = createRequire(import.meta.url)("../../build/Release/portwright.node") as HostAddon;
const kernel = nativeHost(addon);
const NOBODY = 65_534;

interface ChildAnswer {
  readonly status?: number;
  readonly body?: { readonly error?: { readonly code: string; readonly message: string } };
  readonly error?: string;
}

/** GET and POST from a process that runs as another user: a child, since a process cannot get root back. */
async function callAs(uid: number, socketPath: string, method: string, url: string): Promise<ChildAnswer> {
  const script = `
    const [socketPath, method, path, uid, body] = process.argv.slice(1);
    process.setgid(Number(uid)); process.setgroups([]); process.setuid(Number(uid));
    const req = require("http").request({ socketPath, method, path, headers: { "content-type": "application/json" } }, (res) => {
      let text = ""; res.on("data", (c) => text += c).on("end", () =>
        console.log(JSON.stringify({ status: res.statusCode, body: text === "" ? null : JSON.parse(text) })));
    });
    req.on("error", (e) => console.log(JSON.stringify({ error: e.code })));
    req.end(method === "GET" ? "" : body);`;
  const args = ["-e", script, socketPath, method, url, String(uid), JSON.stringify(attachRequest)];
  const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
  let out = "";
  for await (const chunk of child.stdout) out += String(chunk);
  return JSON.parse(out) as ChildAnswer;
}

/** Opens the file's own permissions, so that only the credentials stand in the way. */
function openFileModes({ directory, runDirectory, api }: TestApi): void {
  chmodSync(directory, 0o755);
  chmodSync(runDirectory, 0o755);
  chmodSync(api.addresses.cni, 0o666);
  chmodSync(api.addresses.read, 0o666);
}

test("root may use the attach socket, by its real credentials", async (t) => {
  const { cni, close } = await startTestApi({ kernel });
  t.teardown(close);
  t.is((await cni("POST", "/v1/attachments", { body: attachRequest })).status, 201);
});

test("another user is kept out by the file's mode", async (t) => {
  const started = await startTestApi({ kernel });
  t.teardown(started.close);
  chmodSync(started.directory, 0o755);
  chmodSync(started.runDirectory, 0o755);
  t.deepEqual(await callAs(NOBODY, started.api.addresses.cni, "GET", "/v1/attachments"), { error: "EACCES" });
});

test("another user who gets past the file's mode is refused by credentials, on every route", async (t) => {
  const started = await startTestApi({ kernel });
  t.teardown(started.close);
  openFileModes(started);
  for (const [method, url] of [
    ["GET", "/v1/attachments"],
    ["POST", "/v1/attachments"],
    ["POST", "/cni"],
    ["GET", "/openapi.json"],
    ["GET", "/nowhere"],
  ] as const) {
    const answer = await callAs(NOBODY, started.api.addresses.cni, method, url);
    t.is(answer.status, 403, url);
    t.is(answer.body?.error?.code, "FORBIDDEN");
    t.regex(answer.body?.error?.message ?? "", /^uid 65534 \(process \d+\) may not/);
  }
  t.is(started.backend.store.size, 0);
  t.true(started.rejected.every((r) => r === "forbidden"));
  t.true(started.records.some((r) => r.level === "warn" && r.message.includes("refused")));
});

test("the reading socket asks for no user: its mode decides", async (t) => {
  const started = await startTestApi({ kernel });
  t.teardown(started.close);
  openFileModes(started);
  t.is((await callAs(NOBODY, started.api.addresses.read, "GET", "/v1/status")).status, 200);
});

test("users can be allowed by id", async (t) => {
  const started = await startTestApi({ kernel, allowedUids: [0, NOBODY] });
  t.teardown(started.close);
  openFileModes(started);
  t.is((await callAs(NOBODY, started.api.addresses.cni, "POST", "/v1/attachments")).status, 201);
});

test("credentials that cannot be read are refused", async (t) => {
  const failing = {
    ...rootPeer,
    peerCredentials: () => {
      throw new Error("ENOTCONN");
    },
  };
  const { cni, backend, close } = await startTestApi({ kernel: failing });
  t.teardown(close);
  const answer = await cni("POST", "/v1/attachments", { body: attachRequest });
  t.is(answer.status, 403);
  t.is(answer.json.error.code, "FORBIDDEN");
  t.is(backend.store.size, 0);
});
