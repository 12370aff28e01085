// Where pins may live: on a bpffs, in a directory that was made for them, and over nobody's files.
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { type ExecutionContext } from "ava";
import { PortwrightError } from "../../daemon/errors.ts";
import { preparePinRoot } from "../../daemon/pin-root.ts";

function setting(t: ExecutionContext, bpffs: readonly string[] = []) {
  const parent = mkdtempSync(join(tmpdir(), "pw-pins-"));
  t.teardown(() => rmSync(parent, { recursive: true, force: true }));
  const mounted: string[] = [];
  const kernel = {
    isBpffs: (directory: string) => bpffs.map((name) => join(parent, name)).includes(directory),
    mountBpffs: (directory: string) => void mounted.push(directory),
  };
  return { parent, mounted, kernel };
}

test("on a bpffs the directory is made, and nothing mounted", (t) => {
  const { parent, mounted, kernel } = setting(t, ["."]);
  preparePinRoot(kernel, join(parent, "pins"));
  t.true(existsSync(join(parent, "pins")));
  t.deepEqual(mounted, []);
});

test("elsewhere a bpffs is mounted on a new or an empty directory", (t) => {
  const { parent, mounted, kernel } = setting(t);
  preparePinRoot(kernel, join(parent, "pins"));
  preparePinRoot(kernel, join(parent, "pins"));
  t.deepEqual(mounted, [join(parent, "pins"), join(parent, "pins")]);
});

test("no bpffs is mounted over somebody's files", (t) => {
  const { parent, mounted, kernel } = setting(t);
  writeFileSync(join(parent, "file"), "");
  const error = t.throws(() => preparePinRoot(kernel, parent), { instanceOf: PortwrightError });
  t.is(error.code, "BPFFS_ABSENT");
  t.regex(error.message, /not empty/);
  t.deepEqual(mounted, []);
});

test("a directory whose parent is absent is an error that says what is missing", (t) => {
  const { parent, kernel } = setting(t);
  const error = t.throws(() => preparePinRoot(kernel, join(parent, "absent/pins")), { instanceOf: PortwrightError });
  t.is(error.code, "BPFFS_ABSENT");
});
