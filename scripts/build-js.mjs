// @ts-check
// Bundles the daemon and the command: dist/portwrightd.mjs and dist/portwright.mjs, each one file, which starts in about
// half the time that loading the modules one by one takes.
import { chmodSync } from "node:fs";
import path from "node:path";
import { build } from "esbuild";
import { ROOT } from "./setup/root.mjs";

const ENTRIES = { portwrightd: "daemon/main.ts", portwright: "daemon/cli/main.ts" };

try {
  await build({
    absWorkingDir: ROOT,
    entryPoints: ENTRIES,
    outdir: "dist",
    outExtension: { ".js": ".mjs" },
    bundle: true,
    platform: "node",
    format: "esm",
    target: "node20",
    sourcemap: "linked",
    legalComments: "linked",
    // ffi-napi finds its prebuilt library by its own path, and is loaded only when it is first used.
    external: ["ffi-napi"],
    // Bundled CommonJS modules call require() for Node's own modules; ES modules have none. The files are programs.
    banner: {
      js: '#!/usr/bin/env node\nimport { createRequire as createRequireForBundle } from "node:module";\nconst require = createRequireForBundle(import.meta.url);',
    },
    logLevel: "warning",
  });
  for (const name of Object.keys(ENTRIES)) chmodSync(path.join(ROOT, "dist", `${name}.mjs`), 0o755);
} catch {
  process.exitCode = 1; // esbuild has printed what is wrong, with file, line and column
}
