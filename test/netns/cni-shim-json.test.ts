/** The plugin executable's JSON scanner under the sanitizers, with thousands of damaged texts. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "ava";

const root = join(import.meta.dirname, "../..");

test("no text makes the scanner read or write past its bounds", (t) => {
  const directory = mkdtempSync(join(tmpdir(), `pw-shim-json-${process.pid}-`));
  t.teardown(() => rmSync(directory, { recursive: true, force: true }));
  const program = join(directory, "fuzz");
  const sources = ["test/fuzz/shim-json.c", "native/shim/json.c"].map((file) => join(root, file));
  const sanitizers = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"];
  execFileSync("gcc", ["-std=gnu17", "-g", "-O1", "-D_GNU_SOURCE", ...sanitizers, "-o", program, ...sources]);
  const seed = String(Date.now() % 1_000_000);
  t.log(`seed ${seed}`);
  t.is(execFileSync(program, ["100000", seed], { encoding: "utf8" }), "done\n");
});
