/**
 * Where the switch lives between two runs of the daemon. Everything is under a directory of the layout's version, and
 * the programs under one named by the object file's digest: the daemon that finds its own digest there has nothing to
 * load. Pure.
 *
 *     <root>/v2/maps/<map>
 *     <root>/v2/programs/<digest>/<program>
 *     <root>/v2/links/<ifindex>
 */
import { join } from "node:path";

export interface PinPaths {
  readonly root: string;
  readonly version: string;
  readonly maps: string;
  readonly programs: string;
  readonly links: string;
  map(name: string): string;
  program(digest: string, name: string): string;
  link(ifindex: number): string;
}

export function pinPaths(root: string, abiVersion: number): PinPaths {
  const version = join(root, `v${abiVersion}`);
  const maps = join(version, "maps");
  const programs = join(version, "programs");
  const links = join(version, "links");
  return {
    root,
    version,
    maps,
    programs,
    links,
    map: (name) => join(maps, name),
    program: (digest, name) => join(programs, digest, name),
    link: (ifindex) => join(links, String(ifindex)),
  };
}
