// @ts-check
// Debian's packages for tests, unpacked into the cache and not installed: an installation would start a daemon on this
// machine, or push another package off it.
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from "node:fs";
import path from "node:path";
import { run } from "../../scripts/setup/run.mjs";
import { cacheDirectory } from "./kernels.mjs";

/**
 * @param {string} name of their directory in the cache, which appears there whole or not at all
 * @param {readonly string[]} packages
 * @returns {Promise<string>} the directory
 */
export async function unpackedPackages(name, packages) {
  const cache = cacheDirectory();
  const tree = path.join(cache, name);
  if (existsSync(tree)) return tree;
  mkdirSync(cache, { recursive: true });
  const work = mkdtempSync(path.join(cache, ".fetch-"));
  try {
    // The sandbox user may not write into root's cache; apt would say so and go on as root.
    await run("apt-get", ["-q", "-o", "APT::Sandbox::User=root", "download", ...packages], {
      cwd: work,
      onFail: `apt-get download ${packages.join(" ")} failed`,
    });
    for (const deb of readdirSync(work)) await run("dpkg", ["-x", path.join(work, deb), path.join(work, "tree")]);
    renameSync(path.join(work, "tree"), tree);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  return tree;
}
