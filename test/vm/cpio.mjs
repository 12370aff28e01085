// @ts-check
// Writes cpio archives in the "newc" form, which is what the kernel unpacks as its first root
// (Documentation/driver-api/early-userspace/buffer-format.rst).

/**
 * @typedef {object} Entry
 * @property {string} name without a leading slash; its directories come before it
 * @property {number} mode with the type, as in stat(2)
 * @property {Uint8Array | string} [data]
 * @property {readonly [major: number, minor: number]} [device]
 */

export const DIRECTORY = 0o040755;
export const PROGRAM = 0o100755;
export const FILE = 0o100644;
export const CHARACTER_DEVICE = 0o020600;

/**
 * @param {readonly Entry[]} entries
 * @returns {Buffer}
 */
export function cpio(entries) {
  const end = { name: "TRAILER!!!", mode: 0 };
  return Buffer.concat([...entries, end].flatMap((entry, index) => record(entry, index + 1)));
}

/**
 * @param {Entry} entry
 * @param {number} inode
 */
function record({ name, mode, data = "", device = [0, 0] }, inode) {
  const content = Buffer.from(data);
  const path = Buffer.from(`${name}\0`);
  // ino, mode, uid, gid, nlink, mtime, filesize, device of the file system, device of the node, namesize, check
  const fields = [inode, mode, 0, 0, 1, 0, content.length, 0, 0, ...device, path.length, 0];
  const head = Buffer.concat([Buffer.from(`070701${fields.map(hex).join("")}`), path]);
  return [head, padding(head.length), content, padding(content.length)];
}

const hex = (/** @type {number} */ value) => value.toString(16).padStart(8, "0");
const padding = (/** @type {number} */ length) => Buffer.alloc(-length & 3);
