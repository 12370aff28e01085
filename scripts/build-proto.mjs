// @ts-check
// Compiles daemon/api/portwright.proto into a static module with its types, daemon/api/generated/portwright.pb.js and .d.ts.
import { mkdirSync } from "node:fs";
import path from "node:path";
import { buildScript } from "./setup/build-script.mjs";
import { ROOT } from "./setup/root.mjs";
import { run } from "./setup/run.mjs";

const PROTO = path.join(ROOT, "daemon/api/portwright.proto");
const MODULE = path.join(ROOT, "daemon/api/generated/portwright.pb.js");
const TYPES = path.join(ROOT, "daemon/api/generated/portwright.pb.d.ts");
const tool = (/** @type {string} */ name) => path.join(ROOT, "node_modules/protobufjs-cli/bin", name);

await buildScript(async () => {
  mkdirSync(path.dirname(MODULE), { recursive: true });
  const target = ["-t", "static-module", "-w", "es6", "--es6", "--force-long", "-o", MODULE, PROTO];
  await run(process.execPath, [tool("pbjs"), ...target], { onFail: "pbjs failed" });
  await run(process.execPath, [tool("pbts"), "-o", TYPES, MODULE], { onFail: "pbts failed" });
});
