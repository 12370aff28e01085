/** Small files in a directory of ours: each is whole or not there, whatever happens meanwhile. */
import {
  closeSync,
  constants,
  fsync,
  linkSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { PortwrightError } from "../errors.ts";
import { codeOf, messageOf } from "../thrown.ts";

const fsyncAsync = promisify(fsync);

/** What a name ends in that the next start removes. */
export const TEMPORARY = ".tmp";
const SET_ASIDE = ".corrupt";

/** Makes the directory if need be. It must be ours alone: who can write there could make the daemon do things. */
export function openDirectory(path: string): void {
  try {
    mkdirSync(path, { recursive: true, mode: 0o700 });
  } catch (cause) {
    throw stateError(`the directory ${path} cannot be made`, cause);
  }
  const stat = lstatSync(path);
  if (!stat.isDirectory() || stat.uid !== process.geteuid?.() || (stat.mode & 0o022) !== 0)
    throw new PortwrightError("DIRECTORY_UNSAFE", `${path} must be a directory, of this user, not writable by others`);
}

export function stateError(message: string, cause: unknown): PortwrightError {
  return new PortwrightError("STATE_IO", `${message}: ${messageOf(cause)}`, { cause });
}

export class RecordFiles {
  readonly directory: string;
  #counter = 0;

  constructor(directory: string) {
    this.directory = directory;
    openDirectory(directory);
    // What a crash left half-written was never in force.
    for (const name of readdirSync(directory)) {
      if (name.endsWith(TEMPORARY)) rmSync(join(directory, name), { force: true });
    }
  }

  names(): readonly string[] {
    return readdirSync(this.directory).filter((name) => name.endsWith(".json"));
  }

  read(name: string): string {
    return readFileSync(join(this.directory, name), "utf8");
  }

  /** Survives the death of this process, not that of the machine. Takes tens of microseconds, so it may block. */
  write(name: string, text: string): void {
    const temporary = this.#temporary(name);
    try {
      writeFileSync(temporary, text, { mode: 0o600, flag: "wx" });
      renameSync(temporary, join(this.directory, name));
    } catch (cause) {
      this.#discard(temporary, name, cause);
    }
  }

  /** Survives a power cut when it resolves. */
  async writeDurably(name: string, text: string): Promise<void> {
    const temporary = this.#temporary(name);
    try {
      const fd = openSync(temporary, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, 0o600);
      try {
        writeFileSync(fd, text);
        await fsyncAsync(fd);
      } finally {
        closeSync(fd);
      }
      renameSync(temporary, join(this.directory, name));
      await this.#syncDirectory();
    } catch (cause) {
      this.#discard(temporary, name, cause);
    }
  }

  /** What write() wrote survives a power cut, too, when this resolves. A file that is gone by now needs nothing. */
  async flush(...names: readonly string[]): Promise<void> {
    for (const name of names) await this.#flush(name);
    await this.#syncDirectory();
  }

  async #flush(name: string): Promise<void> {
    let fd: number;
    try {
      fd = openSync(join(this.directory, name), constants.O_RDONLY);
    } catch (cause) {
      if (codeOf(cause) === "ENOENT") return;
      throw stateError(`${name} cannot be flushed`, cause);
    }
    try {
      await fsyncAsync(fd);
    } finally {
      closeSync(fd);
    }
  }

  /**
   * `from` takes the place of `to`, whose last content stays as `previous`. At every moment `to` is whole, and a disk that
   * is full is no hindrance but to the directory itself. Survives a power cut when it resolves.
   */
  async promote(from: string, to: string, previous: string): Promise<void> {
    const at = (name: string): string => join(this.directory, name);
    const temporary = this.#temporary(previous);
    try {
      if (this.has(to)) {
        linkSync(at(to), temporary);
        renameSync(temporary, at(previous));
      }
      renameSync(at(from), at(to));
      await this.#syncDirectory();
    } catch (cause) {
      this.#discard(temporary, to, cause);
    }
  }

  /** Survives a power cut when it resolves. */
  async rename(from: string, to: string): Promise<void> {
    try {
      renameSync(join(this.directory, from), join(this.directory, to));
      await this.#syncDirectory();
    } catch (cause) {
      throw stateError(`${from} cannot become ${to}`, cause);
    }
  }

  has(name: string): boolean {
    return lstatSync(join(this.directory, name), { throwIfNoEntry: false }) !== undefined;
  }

  /** Survives a power cut when it resolves. */
  async removeDurably(name: string): Promise<void> {
    if (!this.has(name)) return;
    this.remove(name);
    await this.#syncDirectory();
  }

  remove(name: string): void {
    try {
      unlinkSync(join(this.directory, name));
    } catch (cause) {
      if (codeOf(cause) !== "ENOENT") throw stateError(`${name} cannot be removed`, cause);
    }
  }

  /** Out of the way, but kept for whoever looks into it. */
  setAside(name: string): void {
    renameSync(join(this.directory, name), join(this.directory, name + SET_ASIDE));
  }

  async #syncDirectory(): Promise<void> {
    const fd = openSync(this.directory, constants.O_RDONLY | constants.O_DIRECTORY);
    try {
      await fsyncAsync(fd);
    } finally {
      closeSync(fd);
    }
  }

  #temporary(name: string): string {
    return join(this.directory, `${name}.${this.#counter++}${TEMPORARY}`);
  }

  #discard(temporary: string, name: string, cause: unknown): never {
    rmSync(temporary, { force: true });
    throw stateError(`${name} cannot be written`, cause);
  }
}
