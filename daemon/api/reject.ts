/** The label `reason` of portwright_api_rejected_total: requests turned away before the daemon did any work for them. */
import type { ErrorCode } from "../errors.ts";

export const rejectReasons = [
  "busy",
  "forbidden",
  "host",
  "invalid",
  "media_type",
  "slow_reader",
  "timeout",
  "too_large",
] as const;
export type RejectReason = (typeof rejectReasons)[number];

const byCode: Partial<Record<ErrorCode, RejectReason>> = {
  BUSY: "busy",
  FORBIDDEN: "forbidden",
  HOST_REFUSED: "host",
  REQUEST_INVALID: "invalid",
  MEDIA_TYPE_UNSUPPORTED: "media_type",
  NOT_ACCEPTABLE: "media_type",
  REQUEST_TIMEOUT: "timeout",
  REQUEST_TOO_LARGE: "too_large",
};

/** null: an error of another sort, which other metrics count */
export function rejectReason(code: ErrorCode): RejectReason | null {
  return byCode[code] ?? null;
}
