/** What the kernel said no to. Made by the addon's errors; see native/addon/error.h. */
export class KernelError extends Error {
  override readonly name = "KernelError";
  /** symbolic, e.g. "EEXIST" */
  readonly code: string;
  readonly errno: number;
  /** e.g. "RTM_NEWLINK", "BPF_PROG_LOAD" */
  readonly op: string;
  /** interface name, map name, path */
  readonly object: string;
  /** extended ack or verifier log; may be empty */
  readonly kernelText: string;

  constructor(fields: {
    code: string;
    errno: number;
    op: string;
    object: string;
    kernelText: string;
    message: string;
  }) {
    super(fields.message);
    this.code = fields.code;
    this.errno = fields.errno;
    this.op = fields.op;
    this.object = fields.object;
    this.kernelText = fields.kernelText;
  }
}

export function isKernelError(error: unknown, code?: string): error is KernelError {
  return error instanceof KernelError && (code === undefined || error.code === code);
}
