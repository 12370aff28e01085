/** CNI versions and what each can do (CNI SPEC 1.1.0, "Version considerations"). */
import { PortwrightError } from "../errors.ts";

export const cniVersions = ["0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"] as const;
export type CniVersion = (typeof cniVersions)[number];

export const LATEST: CniVersion = "1.1.0";
/** What a configuration without cniVersion means. */
const OLDEST: CniVersion = "0.1.0";

export function isCniVersion(text: unknown): text is CniVersion {
  return (cniVersions as readonly unknown[]).includes(text);
}

export function atLeast(version: CniVersion, other: CniVersion): boolean {
  return cniVersions.indexOf(version) >= cniVersions.indexOf(other);
}

/** The version of a configuration. Exact: the spec knows no "compatible" versions. */
export function requireVersion(value: unknown): CniVersion {
  if (value === undefined || value === null || value === "") return OLDEST;
  if (isCniVersion(value)) return value;
  if (typeof value !== "string") throw new PortwrightError("CNI_DECODE", "cniVersion must be a string");
  throw new PortwrightError("CNI_VERSION", `cniVersion ${JSON.stringify(value).slice(0, 40)} is not supported`);
}

const SINCE: Readonly<Record<string, CniVersion>> = { CHECK: "0.4.0", GC: "1.1.0", STATUS: "1.1.0" };

export function requireVerb(command: string, version: CniVersion): void {
  const since = SINCE[command];
  if (since !== undefined && !atLeast(version, since))
    throw new PortwrightError("CNI_VERSION", `${command} needs cniVersion ${since} or later, not ${version}`);
}
