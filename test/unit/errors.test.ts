import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import test from "ava";
import { errorTable } from "../../daemon/errors.ts";

const daemon = join(import.meta.dirname, "../../daemon");

test("no code of the table is without use", (t) => {
  const files = readdirSync(daemon, { recursive: true, encoding: "utf8" }).filter((file) => file.endsWith(".ts"));
  const text = files
    .filter((file) => file !== "errors.ts")
    .map((file) => readFileSync(join(daemon, file), "utf8"))
    .join("\n");
  t.deepEqual(
    Object.keys(errorTable).filter((code) => !text.includes(`"${code}"`)),
    [],
  );
});
