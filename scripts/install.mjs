#!/usr/bin/env node
// @ts-check
// Puts what was built where a host runs it from: install.mjs [DESTDIR]. Nothing is enabled, started or told to systemd, and
// intent that is there is left alone. With DESTDIR it fills a tree for a package or an image.
import { chmodSync, copyFileSync, existsSync, mkdirSync, readdirSync, renameSync, rmSync, symlinkSync } from "node:fs";
import path from "node:path";
import { ROOT } from "./setup/root.mjs";

const LIBRARY = "usr/lib/portwright";

/** @param {string} directory @param {RegExp} pattern files of it */
const all = (directory, pattern) =>
  readdirSync(path.join(ROOT, directory))
    .filter((name) => pattern.test(name))
    .map((name) => path.join(directory, name));

/** @returns {readonly (readonly [sources: readonly string[], directory: string, mode: number])[]} */
const files = () => [
  [["package.json", "LICENSE"], LIBRARY, 0o644],
  [all("dist", /\.mjs$/), `${LIBRARY}/dist`, 0o755],
  [all("dist", /\.LEGAL\.txt$/), `${LIBRARY}/dist`, 0o644],
  [["build/Release/portwright.node"], `${LIBRARY}/build/Release`, 0o755],
  [all("build/bpf", /\.bpf\.o$/), `${LIBRARY}/build/bpf`, 0o644],
  [["build/cni/portwright"], "opt/cni/bin", 0o755],
  [all("build/dhcp", /^portwright-dhcp-(hook|launch)$/), `${LIBRARY}/build/dhcp`, 0o755],
  [["systemd/dropins/dhcp.conf"], `${LIBRARY}/systemd`, 0o644],
  [all("systemd", /\.(service|socket)$/), "usr/lib/systemd/system", 0o644],
  [all("systemd/sysusers.d", /\.conf$/), "usr/lib/sysusers.d", 0o644],
  [all("systemd/tmpfiles.d", /\.conf$/), "usr/lib/tmpfiles.d", 0o644],
];

/** What operators write: only where there is nothing yet. */
const INTENT = "etc/portwright/default.yaml";

/**
 * A file of its own that takes the name: a daemon that runs has the old one mapped, and goes on with it.
 * @param {string} target
 * @param {(at: string) => void} make
 */
function replace(target, make) {
  const next = `${target}.new`;
  mkdirSync(path.dirname(target), { recursive: true, mode: 0o755 });
  rmSync(next, { force: true });
  make(next);
  renameSync(next, target);
}

/** @param {string} source @param {string} target @param {number} mode */
function put(source, target, mode) {
  replace(target, (at) => {
    copyFileSync(path.join(ROOT, source), at);
    chmodSync(at, mode);
  });
}

/** @param {string} root */
function install(root) {
  for (const [sources, directory, mode] of files())
    for (const source of sources) put(source, path.join(root, directory, path.basename(source)), mode);
  const command = path.join(root, "usr/bin/portwright");
  replace(command, (at) => symlinkSync(`../lib/portwright/dist/portwright.mjs`, at));
  if (!existsSync(path.join(root, "etc/portwright"))) put("config/default.yaml", path.join(root, INTENT), 0o644);
}

const [root = "/", ...rest] = process.argv.slice(2);
if (rest.length > 0 || !path.isAbsolute(root)) {
  console.error("usage: install.mjs [DESTDIR]   (an absolute path; without it: this host)");
  process.exitCode = 64;
} else if (!existsSync(path.join(ROOT, "dist/portwrightd.mjs"))) {
  console.error("install: nothing is built yet: run npm run build first");
  process.exitCode = 1;
} else {
  process.umask(0o022);
  install(root);
}
