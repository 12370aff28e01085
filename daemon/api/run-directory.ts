/** The directory of the sockets: whoever can write there could put a socket of their own in our place. */
import { chmodSync, lstatSync, mkdirSync, type Stats } from "node:fs";
import path from "node:path";
import { PortwrightError } from "../errors.ts";
import { codeOf, messageOf } from "../thrown.ts";

const OTHERS_WRITE = 0o002;
const STICKY = 0o1000;

/** Makes it (0750) if it is absent; DIRECTORY_UNSAFE if it, or what it lies in, is not to be trusted. */
export function prepareRunDirectory(directory: string, uid = process.geteuid?.() ?? 0): void {
  const parent = path.dirname(path.resolve(directory));
  checkParent(parent, uid);
  try {
    mkdirSync(directory, { mode: 0o750 });
    chmodSync(directory, 0o750); // mkdir's mode is narrowed by the umask
  } catch (error) {
    if (codeOf(error) !== "EEXIST") {
      throw unsafe(`cannot make the run directory ${directory}: ${messageOf(error)}`);
    }
  }
  const stats = lstatSync(directory);
  if (stats.isSymbolicLink()) throw unsafe(`the run directory ${directory} is a symbolic link`);
  if (!stats.isDirectory()) throw unsafe(`the run directory ${directory} is not a directory`);
  if (stats.uid !== uid) throw unsafe(`the run directory ${directory} belongs to uid ${stats.uid}, not ${uid}`);
  if (stats.mode & OTHERS_WRITE) throw unsafe(`the run directory ${directory} is writable by others (${octal(stats)})`);
}

/** In a sticky directory such as /tmp nobody can rename or remove what is not theirs, so that one is fine. */
function checkParent(parent: string, uid: number): void {
  let stats: Stats;
  try {
    stats = lstatSync(parent);
  } catch (error) {
    throw unsafe(`cannot read the directory ${parent} of the run directory: ${messageOf(error)}`);
  }
  if (stats.isSymbolicLink()) throw unsafe(`${parent}, where the run directory lies, is a symbolic link`);
  if (stats.uid !== 0 && stats.uid !== uid) throw unsafe(`${parent} belongs to uid ${stats.uid}`);
  if (stats.mode & OTHERS_WRITE && !(stats.mode & STICKY)) {
    throw unsafe(`${parent}, where the run directory lies, is writable by others (${octal(stats)})`);
  }
}

function unsafe(message: string): PortwrightError {
  return new PortwrightError("DIRECTORY_UNSAFE", message);
}

function octal(stats: Stats): string {
  return `0${(stats.mode & 0o7777).toString(8)}`;
}
