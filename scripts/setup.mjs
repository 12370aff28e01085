#!/usr/bin/env node
// @ts-check
// Set-up: brings a fresh clone on Debian to the state in which the demo and the tests run; does nothing where that is so already.
// `npm start` and `npm test` both begin here. Only Node's own modules are used, since nothing else may be installed yet,
// and the check of Node's version comes before anything that an old Node cannot parse.
import { nodeProblem } from "./setup/node-version.mjs";

const problem = nodeProblem(process.versions.node);
if (problem) {
  console.error(`set-up: ${problem}`);
  process.exit(1);
}
void import("./setup/main.mjs").then((module) => module.main(process.argv.slice(2)));
