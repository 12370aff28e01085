/** An error in the form that the CNI shim passes on as it is: JSON on stdout, exit code 1 (CNI SPEC 1.1.0, "Error"). */
import type { CniReply } from "../attach/cni-request.ts";
import type { PortwrightError } from "../errors.ts";

const LATEST = "1.1.0";
const VERSION = /^\d{1,3}\.\d{1,3}\.\d{1,3}$/;

/** `body` is the request as far as it was read: the answer carries the cniVersion that it names. */
export function cniErrorReply(error: PortwrightError, body: unknown): CniReply {
  const stdout = JSON.stringify({
    cniVersion: cniVersionOf(body),
    code: error.cniCode,
    msg: error.message,
    details: `${error.help} [${error.code}]`,
  });
  return { exitCode: 1, stdout, stderr: "" };
}

function cniVersionOf(body: unknown): string {
  try {
    const config: unknown = JSON.parse((body as { stdin: string }).stdin);
    const version = (config as { cniVersion?: unknown }).cniVersion;
    return typeof version === "string" && VERSION.test(version) ? version : LATEST;
  } catch {
    return LATEST;
  }
}
