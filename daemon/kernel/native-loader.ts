/** Finds and loads the addon once: PORTWRIGHT_ADDON, or build/Release/portwright.node below the package's root. */
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import type { BpfAddon } from "./native-bpf.ts";
import type { HostAddon } from "./native-host.ts";
import type { NamespaceAddon } from "./native-namespace.ts";
import type { NetnsAddon } from "./native.ts";
import type { PacketAddon } from "./native-packet.ts";

export type Addon = NetnsAddon & NamespaceAddon & BpfAddon & PacketAddon & HostAddon;

/** The directory with package.json, from the sources as from a bundle. */
function packageRoot(): string {
  const start = dirname(fileURLToPath(import.meta.url));
  for (let directory = start; ; directory = dirname(directory)) {
    if (existsSync(join(directory, "package.json"))) return directory;
    if (directory === dirname(directory)) throw new Error(`no package.json above ${start}`);
  }
}

export function addonPath(): string {
  return process.env["PORTWRIGHT_ADDON"] ?? join(packageRoot(), "build/Release/portwright.node");
}

let loaded: Addon | undefined;

export function loadAddon(): Addon {
  if (loaded === undefined) {
    const path = addonPath();
    try {
      loaded = createRequire(import.meta.url)(path) as Addon;
    } catch (cause) {
      throw new Error(`cannot load the addon ${path}: is it built?`, { cause });
    }
  }
  return loaded;
}
