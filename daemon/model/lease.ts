/** What a DHCP server let the host have. Plain data: it is kept on disk. */
export interface Lease {
  /** the host's interface */
  readonly device: string;
  readonly address: string;
  readonly prefixLength: number;
  /** the server's address */
  readonly server: string;
  /** ISO 8601 */
  readonly obtainedAt: string;
  readonly expiresAt: string;
}
