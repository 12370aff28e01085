// @ts-check
// Debian's kernels for the VM tests: the newest package of a series by apt's lists, unpacked once into a cache outside git.
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { output, run } from "../../scripts/setup/run.mjs";

/**
 * @typedef {object} Series
 * @property {string} name
 * @property {string} why what this kernel is tested for
 * @property {RegExp} packages names of its packages; "cloud" and "rt" kernels lack modules or behave in their own way
 */
/**
 * @typedef {object} VmKernel
 * @property {string} release as uname -r says it
 * @property {string} image file
 * @property {string} root directory with lib/modules
 */

/** @type {readonly Series[]} */
export const SERIES = [
  { name: "6.1", why: "no tcx: clsact", packages: /^linux-image-6\.1\.0-\d+-amd64$/ },
  {
    name: "6.12",
    why: "tcx; redirect_peer leaves the packet type",
    packages: /^linux-image-6\.12\.\d+(\+\w+)?-amd64$/,
  },
];

export function cacheDirectory() {
  return path.join(process.env.XDG_CACHE_HOME || path.join(os.homedir(), ".cache"), "portwright/vm");
}

/**
 * @param {readonly string[]} names
 * @param {RegExp} wanted
 * @returns {string | undefined} the newest: package names of one series differ by the numbers in them
 */
export function newest(names, wanted) {
  const order = new Intl.Collator("en", { numeric: true });
  return names
    .filter((name) => wanted.test(name))
    .toSorted(order.compare)
    .at(-1);
}

/**
 * @param {Series} series
 * @returns {Promise<VmKernel | undefined>} undefined: neither apt nor the cache has one
 */
export async function obtainKernel(series) {
  const cache = cacheDirectory();
  mkdirSync(cache, { recursive: true });
  const offered = newest(await aptNames(), series.packages);
  const cached = newest(readdirSync(cache), series.packages);
  if (offered === undefined || offered === cached) return cached === undefined ? undefined : unpacked(cache, cached);
  try {
    await fetchKernel(cache, offered);
  } catch (error) {
    if (cached === undefined) throw error;
    console.error(`  ${offered} cannot be fetched; ${cached} from the cache is used in its place`);
    return unpacked(cache, cached);
  }
  if (cached !== undefined) rmSync(path.join(cache, cached), { recursive: true });
  return unpacked(cache, offered);
}

async function aptNames() {
  const text = await output("apt-cache", ["pkgnames", "linux-image-6."]);
  return text.split("\n");
}

/**
 * Appears in the cache whole or not at all.
 * @param {string} cache
 * @param {string} name
 */
async function fetchKernel(cache, name) {
  const work = mkdtempSync(path.join(cache, ".fetch-"));
  try {
    await download(work, name);
    const deb = readdirSync(work).find((file) => file.endsWith(".deb")) ?? "";
    const tree = path.join(work, "tree");
    await run("dpkg", ["-x", path.join(work, deb), tree]);
    rmSync(path.join(tree, "usr"), { recursive: true, force: true });
    const { release } = unpacked(work, "tree");
    await run("depmod", ["-b", tree, release]);
    renameSync(tree, path.join(cache, name));
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/**
 * @param {string} directory
 * @param {string} name
 */
async function download(directory, name) {
  // The sandbox user may not write into root's cache; apt would say so and go on as root.
  const script = ["-q", "-o", "APT::Sandbox::User=root", "download", name];
  const once = () => run("apt-get", script, { cwd: directory, onFail: `apt-get download ${name} failed` });
  try {
    await once();
  } catch {
    await run("apt-get", ["update", "-q"], { onFail: "apt-get update failed" }); // the lists may name a file that is gone
    await once();
  }
}

/**
 * @param {string} directory
 * @param {string} name
 * @returns {VmKernel}
 */
function unpacked(directory, name) {
  const root = path.join(directory, name);
  const image = readdirSync(path.join(root, "boot")).find((file) => file.startsWith("vmlinuz-"));
  if (image === undefined)
    throw new Error(`there is no kernel in ${root}: remove the directory, and it is fetched again`);
  const release = image.slice("vmlinuz-".length);
  // From Debian 13 on, packages hold usr/lib/modules.
  const modules = ["lib/modules", "usr/lib/modules"].some((at) => existsSync(path.join(root, at, release)));
  if (!modules) throw new Error(`there are no modules in ${root}: remove the directory, and it is fetched again`);
  return { release, image: path.join(root, "boot", image), root };
}
