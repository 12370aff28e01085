/** What this host is and no other: what its derived MAC addresses come from. */
import { readFileSync } from "node:fs";

/** Cloned machines may share a machine id, and lonely ones a name: hardly both. */
export function hostKey(nodeName: string): string {
  return `${machineId()} ${nodeName}`;
}

/** machine-id(5); containers have none. */
function machineId(): string {
  try {
    return readFileSync("/etc/machine-id", "utf8").trim();
  } catch {
    return "";
  }
}
