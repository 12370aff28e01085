// @ts-check
// Builds the CNI plugin executable build/cni/portwright.
// `build-shim.mjs [output [compiler option ...]]`: tests compile in their own paths.
import path from "node:path";
import { buildScript } from "./setup/build-script.mjs";
import { ROOT } from "./setup/root.mjs";
import { buildStaticProgram } from "./setup/static-program.mjs";

const [output = path.join(ROOT, "build/cni/portwright"), ...options] = process.argv.slice(2);
const sources = ["main.c", "client.c", "queue.c", "json.c"].map((file) => `native/shim/${file}`);

await buildScript(() => buildStaticProgram({ output, sources, options, what: "the CNI plugin" }));
