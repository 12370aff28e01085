// @ts-check
// Builds build/dhcp/portwright-dhcp-hook, by which the DHCP client tells the daemon of its events.
import path from "node:path";
import { buildScript } from "./setup/build-script.mjs";
import { ROOT } from "./setup/root.mjs";
import { buildStaticProgram } from "./setup/static-program.mjs";

const output = path.join(ROOT, "build/dhcp/portwright-dhcp-hook");

await buildScript(() =>
  buildStaticProgram({ output, sources: ["native/dhcp/hook.c"], options: [], what: "the DHCP hook" }),
);
