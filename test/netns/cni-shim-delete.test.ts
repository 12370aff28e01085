/** A DEL is never lost: delivered, or kept for the daemon to find. */
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import test from "ava";
import { base, conf, defaultState, freshSocket, json, run, serve, serveRaw, useShim } from "../support/shim.ts";

useShim();

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
