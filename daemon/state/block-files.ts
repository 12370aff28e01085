/**
 * Record files that change often and live briefly. One that fits a page has just that size, filled up with blanks, so that
 * a change overwrites it in place: such a write is done as a whole or not at all if the process dies (the kernel copies
 * a page between two looks for signals, generic_perform_write), and costs a tenth of making a new file and renaming it
 * over the old one, which makes ext4 allocate at once (auto_da_alloc). A power cut may tear it; then its checksum says so.
 * Files that were removed wait under another name to be used again, which spares their making.
 */
import { closeSync, constants, openSync, renameSync, writeSync } from "node:fs";
import { join } from "node:path";
import { codeOf } from "../thrown.ts";
import { RecordFiles, stateError, TEMPORARY } from "./record-files.ts";

const BLOCK = 4096;
const SPARES_MAX = 16;

export class BlockFiles extends RecordFiles {
  /** names of files that are known to have just one block */
  readonly #single = new Set<string>();
  /** names of files that were removed; the next start removes them for good */
  readonly #spares: string[] = [];
  #counter = 0;

  override read(name: string): string {
    const text = super.read(name);
    if (Buffer.byteLength(text) === BLOCK) this.#single.add(name);
    return text;
  }

  override write(name: string, text: string): void {
    const length = Buffer.byteLength(text);
    if (length > BLOCK) {
      super.write(name, text);
      this.#single.delete(name);
      return;
    }
    const block = text + " ".repeat(BLOCK - length);
    if (!(this.#single.has(name) && this.#overwrite(name, block)) && !this.#reuse(name, block))
      super.write(name, block);
    this.#single.add(name);
  }

  override remove(name: string): void {
    if (!this.#single.delete(name) || this.#spares.length >= SPARES_MAX) return super.remove(name);
    const spare = `spare.${this.#counter++}${TEMPORARY}`;
    try {
      renameSync(this.#at(name), this.#at(spare));
      this.#spares.push(spare);
    } catch (cause) {
      if (codeOf(cause) !== "ENOENT") throw stateError(`${name} cannot be removed`, cause);
    }
  }

  override setAside(name: string): void {
    this.#single.delete(name);
    super.setAside(name);
  }

  #reuse(name: string, block: string): boolean {
    const spare = this.#spares.pop();
    if (spare === undefined || !this.#overwrite(spare, block)) return false;
    try {
      renameSync(this.#at(spare), this.#at(name));
    } catch (cause) {
      throw stateError(`${name} cannot be written`, cause);
    }
    return true;
  }

  /** false: somebody has removed it */
  #overwrite(name: string, block: string): boolean {
    try {
      const fd = openSync(this.#at(name), constants.O_WRONLY | constants.O_NOFOLLOW);
      try {
        const written = writeSync(fd, block, 0);
        if (written !== BLOCK) throw new Error(`only ${written} of ${BLOCK} bytes were written`);
      } finally {
        closeSync(fd);
      }
      return true;
    } catch (cause) {
      if (codeOf(cause) === "ENOENT") return false;
      throw stateError(`${name} cannot be written`, cause);
    }
  }

  #at(name: string): string {
    return join(this.directory, name);
  }
}
