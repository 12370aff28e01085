/** Which socket the plugin executable goes to, and whom it trusts there. */
import { spawn } from "node:child_process";
import { chmodSync, chownSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "ava";
import {
  base,
  conf,
  defaultSocket,
  freshSocket,
  json,
  run,
  serve,
  socketFile,
  socketFileDir,
  useShim,
} from "../support/shim.ts";

useShim();

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
      JSON.stringify(value).slice(0, 20),
    );
  }
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
