/** Where the built parts lie, from the sources as from a bundle. */
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/** The directory with package.json. */
export function packageRoot(): string {
  const start = dirname(fileURLToPath(import.meta.url));
  for (let directory = start; ; directory = dirname(directory)) {
    if (existsSync(join(directory, "package.json"))) return directory;
    if (directory === dirname(directory)) throw new Error(`no package.json above ${start}`);
  }
}

/** PORTWRIGHT_ADDON names another build, such as one under AddressSanitizer. */
export function addonFile(): string {
  return process.env["PORTWRIGHT_ADDON"] ?? join(packageRoot(), "build/Release/portwright.node");
}
export function bpfObjectFile(): string {
  return join(packageRoot(), "build/bpf/switch.bpf.o");
}
/** Joins a tap and a veth. */
export function wireObjectFile(): string {
  return join(packageRoot(), "build/bpf/wire.bpf.o");
}
export function cniPluginFile(): string {
  return join(packageRoot(), "build/cni/portwright");
}
export function dhcpProgramDirectory(): string {
  return join(packageRoot(), "build/dhcp");
}
/** Node's options for the daemon, as in systemd/portwrightd.service; ARCHITECTURE.md says what for. */
export const DAEMON_NODE_OPTIONS: readonly string[] = ["--disable-proto=delete", "--no-lazy-feedback-allocation"];
export function daemonProgram(): string {
  return join(packageRoot(), "dist/portwrightd.mjs");
}
export function demoIntentFile(): string {
  return join(packageRoot(), "config/demo.yaml");
}
