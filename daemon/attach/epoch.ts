/**
 * Which life of the host's network objects we are in: a reboot, or a new namespace in place of the managed one, ends all
 * links at once. Records of another epoch speak of links that no longer exist, whatever has their index now.
 */
import { readFileSync } from "node:fs";
import type { NetnsHandle } from "../kernel/kernel.ts";

export function currentEpoch(host: Pick<NetnsHandle, "device" | "inode">): string {
  const boot = readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
  return `${boot}/${host.device}:${host.inode}`;
}
