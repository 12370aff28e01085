/** Whatever went wrong, as the error of the attach surface and as CNI error JSON (CNI SPEC 1.1.0, "Error"). */
import { PortwrightError } from "../errors.ts";
import { isKernelError } from "../kernel/kernel-error.ts";
import { messageOf } from "../thrown.ts";
import type { CniReply } from "./cni-request.ts";
import { IpamError } from "./ipam.ts";
import { type CniVersion, isCniVersion, LATEST } from "./version.ts";

export function toPortwrightError(error: unknown): PortwrightError {
  if (error instanceof PortwrightError) return error;
  if (isKernelError(error)) return new PortwrightError("KERNEL", error.message, { cause: error });
  return new PortwrightError("INTERNAL", messageOf(error), { cause: error });
}

export function errorReply(error: PortwrightError, cniVersion: CniVersion, stderr: string): CniReply {
  const details = error instanceof IpamError ? error.details : `${error.help} [${error.code}]`;
  const body = { cniVersion, code: error.cniCode, msg: error.message, ...(details === "" ? {} : { details }) };
  return { exitCode: 1, stdout: `${JSON.stringify(body)}\n`, stderr };
}

/** The version to put into an error, when the configuration may be anything. */
export function versionForError(stdin: string): CniVersion {
  try {
    const { cniVersion } = JSON.parse(stdin) as { cniVersion?: unknown };
    if (isCniVersion(cniVersion)) return cniVersion;
  } catch {
    // what is wrong with it is told elsewhere
  }
  return LATEST;
}
