// scripts/install.mjs: what lies where, with which rights, and what a second installation leaves alone.
import { execFile } from "node:child_process";
import { mkdtemp, open, readFile, readlink, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import test, { type ExecutionContext } from "ava";

const run = promisify(execFile);
const PROGRAM = path.join(import.meta.dirname, "../../scripts/install.mjs");

async function installed(t: ExecutionContext) {
  const root = await mkdtemp(path.join(tmpdir(), "pw-install-"));
  t.teardown(() => rm(root, { recursive: true, force: true }));
  const install = () => run(process.execPath, [PROGRAM, root]);
  await install();
  return { root, install, at: (file: string) => path.join(root, file) };
}

test("every part lies where the units and the CNI look for it, and only its owner may write it", async (t) => {
  const { at } = await installed(t);
  const modes = {
    "usr/lib/portwright/package.json": 0o644,
    "usr/lib/portwright/dist/portwrightd.mjs": 0o755,
    "usr/lib/portwright/build/Release/portwright.node": 0o755,
    "usr/lib/portwright/build/bpf/switch.bpf.o": 0o644,
    "usr/lib/systemd/system/portwrightd.service": 0o644,
    "usr/lib/systemd/system/portwrightd-cni.socket": 0o644,
    "usr/lib/sysusers.d/portwright.conf": 0o644,
    "usr/lib/tmpfiles.d/portwright.conf": 0o644,
    "opt/cni/bin/portwright": 0o755,
    "etc/portwright/default.yaml": 0o644,
  };
  for (const [file, mode] of Object.entries(modes)) t.is((await stat(at(file))).mode & 0o7777, mode, file);
  t.is(await readlink(at("usr/bin/portwright")), "../lib/portwright/dist/portwright.mjs");
  const { stdout } = await run(process.execPath, [
    at("usr/bin/portwright"),
    "check",
    at("etc/portwright/default.yaml"),
  ]);
  t.regex(stdout, /\S/);
});

test("installed again, it leaves intent alone, and files that are in use as they are", async (t) => {
  const { install, at } = await installed(t);
  await rm(at("etc/portwright/default.yaml"));
  await writeFile(at("etc/portwright/host.yaml"), "# mine\n");
  const addon = "usr/lib/portwright/build/Release/portwright.node";
  await writeFile(at(addon), "the former one");
  const inUse = await open(at(addon));
  t.teardown(() => inUse.close());
  await install();
  t.is(await readFile(at("etc/portwright/host.yaml"), "utf8"), "# mine\n");
  await t.throwsAsync(stat(at("etc/portwright/default.yaml")), { code: "ENOENT" });
  t.is(await inUse.readFile("utf8"), "the former one");
  t.true((await stat(at(addon))).size > 10_000);
  await t.throwsAsync(stat(`${at(addon)}.new`), { code: "ENOENT" });
});

test("a relative DESTDIR is refused", async (t) => {
  const error = await t.throwsAsync<Error & { code: number; stderr: string }>(
    run(process.execPath, [PROGRAM, "somewhere"]),
  );
  t.is(error.code, 64);
  t.regex(error.stderr, /usage/);
});
