/**
 * The loaded switch: its maps and programs. Finds them pinned if the same object file was loaded before; otherwise
 * loads it (maps that are pinned are kept, with what they hold), moves every attached port to the new program by link
 * update, and only then forgets the old one.
 */
import { createHash } from "node:crypto";
import { mkdir, readFile, readdir, rm, rmdir } from "node:fs/promises";
import { release } from "node:os";
import { join } from "node:path";
import { PortwrightError } from "../../errors.ts";
import type { Bpf, BpfLoadOptions, BpfMap, BpfObject, BpfProgram } from "../../kernel/bpf.ts";
import { isKernelError } from "../../kernel/kernel-error.ts";
import { isOlderThan } from "./kernel-release.ts";
import type { PinPaths } from "./pins.ts";

export const MAP_NAMES = [
  "config",
  "if2port",
  "if2port_high",
  "ports",
  "fdb",
  "flood",
  "counters",
  "drops",
  "port_stats",
  "fdb_count",
  "events",
] as const;
export type MapName = (typeof MAP_NAMES)[number];

const PROGRAM_NAMES = ["port_ingress", "clock", "fdb_sweep"] as const;
type ProgramName = (typeof PROGRAM_NAMES)[number];

export interface SwitchObject {
  readonly maps: Readonly<Record<MapName, BpfMap>>;
  readonly ingress: BpfProgram;
  readonly clock: BpfProgram;
  readonly sweep: BpfProgram;
  /** true: nothing was loaded, all was found */
  readonly found: boolean;
  /** digests of other object files whose programs are still pinned: retire them once no port uses them */
  readonly outdated: readonly string[];
  close(): void;
}

export async function openSwitchObject(
  bpf: Bpf,
  pins: PinPaths,
  objectFile: string,
  constants: Readonly<Record<string, number>>,
): Promise<SwitchObject> {
  const hash = createHash("sha256").update(await readFile(objectFile));
  const digest = hash.update(JSON.stringify(constants)).digest("hex").slice(0, 16);
  for (const directory of [pins.maps, pins.programs, pins.links]) {
    await mkdir(directory, { recursive: true, mode: 0o700 });
  }
  const digests = await readdir(pins.programs);
  const outdated = digests.filter((name) => name !== digest);
  if (digests.includes(digest)) {
    const found = await openPinned(bpf, pins, digest);
    if (found) return assemble(found.maps, found.programs, true, outdated);
  }
  const object = await load(bpf, objectFile, { mapPinDir: pins.maps, constants });
  await mkdir(join(pins.programs, digest), { recursive: true, mode: 0o700 });
  for (const name of PROGRAM_NAMES) {
    const program = object.programs.get(name);
    if (!program) throw new Error(`${objectFile} has no program ${name}`);
    await bpf.unpin(pins.program(digest, name)).catch(() => undefined); // half a set, left by a crash
    await bpf.pin(program, pins.program(digest, name));
  }
  return assemble(object.maps, object.programs, false, outdated);
}

/** That the kernel is too old is known only by trying: distributions carry newer features back. */
async function load(bpf: Bpf, objectFile: string, options: BpfLoadOptions): Promise<BpfObject> {
  try {
    return await bpf.load(objectFile, options);
  } catch (error) {
    if (isKernelError(error, "ENOSYS") || (isKernelError(error) && isOlderThan(release(), 5, 17))) {
      throw new PortwrightError("KERNEL_TOO_OLD", `Linux ${release()} cannot run the switch: ${error.message}`, {
        cause: error,
      });
    }
    throw error;
  }
}

/** Removes the pins of programs that no port uses any more. */
export async function retirePrograms(bpf: Bpf, pins: PinPaths, digests: readonly string[]): Promise<void> {
  for (const digest of digests) {
    const directory = join(pins.programs, digest);
    for (const name of await readdir(directory)) await bpf.unpin(join(directory, name));
    await rmdir(directory);
  }
}

/**
 * Takes off the switch of another layout: its programs would go on with maps that nobody writes, and on a tcx hook the
 * program that came first decides. Filters are replaced where they hang. Nothing is switched until ports are set again.
 */
export async function retireVersions(bpf: Bpf, pins: PinPaths): Promise<void> {
  const versions = (await readdir(pins.root)).filter((name) => /^v\d+$/.test(name));
  for (const other of versions.map((name) => join(pins.root, name)).filter((path) => path !== pins.version)) {
    const links = join(other, "links");
    for (const name of await readdir(links).catch(() => [])) {
      const link = await bpf.openLink(join(links, name));
      await bpf.detachLink(link).catch(() => undefined); // its device is gone
      link.close();
    }
    await rm(other, { recursive: true, force: true });
  }
}

/** Removes all pins under the root. Programs on links die with their pins. */
export async function removePins(pins: PinPaths): Promise<void> {
  await rm(pins.version, { recursive: true, force: true });
}

async function openPinned(
  bpf: Bpf,
  pins: PinPaths,
  digest: string,
): Promise<{ maps: Map<string, BpfMap>; programs: Map<string, BpfProgram> } | null> {
  const maps = new Map<string, BpfMap>();
  const programs = new Map<string, BpfProgram>();
  try {
    for (const name of MAP_NAMES) maps.set(name, await bpf.openMap(pins.map(name)));
    for (const name of PROGRAM_NAMES) programs.set(name, await bpf.openProgram(pins.program(digest, name)));
    return { maps, programs };
  } catch (error) {
    for (const object of [...maps.values(), ...programs.values()]) object.close();
    if (isKernelError(error, "ENOENT")) return null;
    throw error;
  }
}

function assemble(
  maps: ReadonlyMap<string, BpfMap>,
  programs: ReadonlyMap<string, BpfProgram>,
  found: boolean,
  outdated: readonly string[],
): SwitchObject {
  const map = (name: MapName): BpfMap => {
    const it = maps.get(name);
    if (!it) throw new Error(`the BPF object has no map ${name}`);
    return it;
  };
  const program = (name: ProgramName): BpfProgram => {
    const it = programs.get(name);
    if (!it) throw new Error(`the BPF object has no program ${name}`);
    return it;
  };
  return {
    maps: Object.fromEntries(MAP_NAMES.map((name) => [name, map(name)])) as Record<MapName, BpfMap>,
    ingress: program("port_ingress"),
    clock: program("clock"),
    sweep: program("fdb_sweep"),
    found,
    outdated,
    close: () => {
      for (const object of [...maps.values(), ...programs.values()]) object.close();
    },
  };
}
