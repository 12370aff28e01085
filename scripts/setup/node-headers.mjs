// @ts-check
// A --nodedir for node-gyp, made of the package node-api-headers: the addon uses Node-API only, so it needs neither the
// headers of the Node that runs (many installations have none) nor a download of them.
import { cpSync, mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";

/** What node-gyp otherwise takes from Node's own common.gypi: the configurations, and code fit for a shared object. */
const COMMON_GYPI = {
  variables: { "visibility%": "hidden" },
  target_defaults: {
    default_configuration: "Release",
    configurations: { Release: { cflags: ["-O2"] }, Debug: { cflags: ["-g", "-O0"] } },
    cflags: ["-fPIC", "-pthread"],
    ldflags: ["-pthread"],
  },
};

/**
 * @param {string} root
 * @returns {string} the directory to give as --nodedir
 */
export function makeNodeDir(root) {
  const nodeDir = path.join(root, "build/node-headers");
  const include = path.join(nodeDir, "include/node");
  mkdirSync(include, { recursive: true });
  // With their own times: make compiles everything anew if a header looks newer than an object.
  const headers = path.join(root, "node_modules/node-api-headers/include");
  cpSync(headers, include, { recursive: true, preserveTimestamps: true });
  writeFileSync(path.join(include, "common.gypi"), JSON.stringify(COMMON_GYPI));
  return nodeDir;
}
