/**
 * What the CNI shim sends (`POST /cni`) and what it gets back. The shim adds nothing and decides nothing: it forwards
 * the CNI_* variables and its stdin, and copies stdout, stderr and exit code from the reply.
 */
export interface CniRequest {
  /** CNI_* variables only */
  readonly env: Readonly<Record<string, string>>;
  /** the network configuration, verbatim */
  readonly stdin: string;
}
export interface CniReply {
  readonly exitCode: 0 | 1;
  /** result or error, JSON text as the spec wants it on stdout; may be empty */
  readonly stdout: string;
  readonly stderr: string;
}
