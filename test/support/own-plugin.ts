/** The plugin built for one test host: where its daemon is stands in the program, so that any input reaches it. */
import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import type { TestHost } from "./test-host.ts";

const run = promisify(execFile);
const BUILDER = join(import.meta.dirname, "../../scripts/build-shim.mjs");

export async function ownPlugin(h: TestHost): Promise<string> {
  const plugin = join(h.directory, "portwright");
  const { socket, stateDirectory } = h.runtime;
  await run(process.execPath, [BUILDER, plugin, `-DPW_SOCKET="${socket}"`, `-DPW_STATE_DIR="${stateDirectory}"`]);
  return plugin;
}
