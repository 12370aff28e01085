// @ts-check
// Builds native/addon into build/Release/portwright.node with the node-gyp that npm brings along.
import { buildScript } from "./setup/build-script.mjs";
import { makeNodeDir } from "./setup/node-headers.mjs";
import { findNodeGyp } from "./setup/npm.mjs";
import { ROOT } from "./setup/root.mjs";
import { run } from "./setup/run.mjs";

// "configure build" and never "rebuild": that would clean, and build/ holds the results of the other steps too.
await buildScript(() =>
  run(
    process.execPath,
    [
      findNodeGyp(),
      "configure",
      "build",
      `--directory=${ROOT}`,
      `--nodedir=${makeNodeDir(ROOT)}`,
      "--jobs=max",
      "--loglevel=error",
    ],
    { onFail: "building the addon failed" },
  ),
);
