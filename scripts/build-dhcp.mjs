// @ts-check
// Builds build/dhcp/portwright-dhcp-launch, which starts the DHCP client, and portwright-dhcp-hook, by which that tells the
// daemon of its events.
import path from "node:path";
import { buildScript } from "./setup/build-script.mjs";
import { ROOT } from "./setup/root.mjs";
import { buildStaticProgram } from "./setup/static-program.mjs";

await buildScript(async () => {
  for (const name of ["launch", "hook"]) {
    const output = path.join(ROOT, `build/dhcp/portwright-dhcp-${name}`);
    await buildStaticProgram({ output, sources: [`native/dhcp/${name}.c`], options: [], what: `the DHCP ${name}` });
  }
});
