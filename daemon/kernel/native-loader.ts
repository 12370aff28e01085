/** Loads the addon, once. */
import { createRequire } from "node:module";
import { addonFile } from "../package-files.ts";
import type { BpfAddon } from "./native-bpf.ts";
import type { HostAddon } from "./native-host.ts";
import type { NamespaceAddon } from "./native-namespace.ts";
import type { NetnsAddon } from "./native.ts";
import type { PacketAddon } from "./native-packet.ts";

export type Addon = NetnsAddon & NamespaceAddon & BpfAddon & PacketAddon & HostAddon;

let loaded: Addon | undefined;

export function loadAddon(): Addon {
  if (loaded === undefined) {
    const path = addonFile();
    try {
      loaded = createRequire(import.meta.url)(path) as Addon;
    } catch (cause) {
      throw new Error(`cannot load the addon ${path}: is it built?`, { cause });
    }
  }
  return loaded;
}
