// @ts-check
// Stamps: a hash of everything that a step's result depends on, kept beside the result, so that a step runs only if
// something changed. Content is hashed rather than times compared: a checkout of another branch and back costs nothing.
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import path from "node:path";

/**
 * @param {string} root
 * @param {readonly string[]} inputs files and directories, relative to root; those that do not exist are left out
 * @param {(file: string) => boolean} [keep] filter for files found in directories
 * @returns {string[]} files, relative to root, sorted
 */
export function inputFiles(root, inputs, keep = () => true) {
  /** @type {Set<string>} */
  const files = new Set();
  for (const input of inputs) {
    const stat = statSync(path.join(root, input), { throwIfNoEntry: false });
    if (stat?.isFile()) files.add(input);
    if (!stat?.isDirectory()) continue;
    for (const entry of readdirSync(path.join(root, input), { recursive: true, withFileTypes: true })) {
      const file = path.relative(root, path.join(entry.parentPath, entry.name));
      if (entry.isFile() && keep(file)) files.add(file);
    }
  }
  return [...files].toSorted();
}

/**
 * @param {string} root
 * @param {readonly string[]} files relative to root
 * @param {readonly string[]} [facts] what else matters: versions of tools
 * @returns {string}
 */
export function fingerprint(root, files, facts = []) {
  const hash = createHash("sha256");
  for (const fact of facts) hash.update(`${fact}\0`);
  for (const file of files) hash.update(`\0${file}\0`).update(readFileSync(path.join(root, file)));
  return hash.digest("hex");
}

/**
 * @param {string} stampFile
 * @param {string} wanted
 * @param {readonly string[]} [outputs] absolute paths that must exist
 */
export function isCurrent(stampFile, wanted, outputs = []) {
  return (
    existsSync(stampFile) &&
    readFileSync(stampFile, "utf8").trim() === wanted &&
    outputs.every((file) => existsSync(file))
  );
}

/**
 * @param {string} stampFile
 * @param {string} value
 */
export function writeStamp(stampFile, value) {
  mkdirSync(path.dirname(stampFile), { recursive: true });
  writeFileSync(stampFile, `${value}\n`);
}
