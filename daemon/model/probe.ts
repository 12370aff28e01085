/** Connectivity probes: their kinds, their typed reasons, their reports. */

export type ProbeKind = "arp" | "icmp";

export type ProbeReason =
  | "no-carrier"
  | "lacp-not-synced"
  | "vlan-not-on-trunk"
  | "no-dhcp-offer"
  | "no-arp-reply"
  | "no-icmp-reply"
  | "mtu-blackhole"
  | "duplicate-address"
  /** the daemon could not send: no port, no socket */
  | "probe-error";

export interface ProbeReport {
  readonly network: string;
  readonly probe: ProbeKind;
  readonly gateway: string;
  readonly success: boolean;
  /** null on success, and before the first attempt */
  readonly reason: ProbeReason | null;
  readonly detail: string;
  /** s; null if there was no answer */
  readonly rtt: number | null;
  /** ISO 8601; null before the first */
  readonly lastAttempt: string | null;
  readonly lastSuccess: string | null;
  readonly attempts: number;
  readonly failures: number;
}
