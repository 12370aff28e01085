/** Packet sockets as the kernel door has them: frames as they lie on a link. */

export interface ReceivedFrame {
  /** from the destination MAC on, as the kernel holds it: a tag in the skb's metadata is not in here */
  readonly data: Uint8Array;
  /** the tag from PACKET_AUXDATA, if the frame had one */
  readonly vlan?: { readonly tpid: number; readonly tci: number };
  /** PACKET_HOST .. PACKET_OUTGOING, uapi/linux/if_packet.h */
  readonly packetType: number;
  readonly timestampNs: bigint; // SO_TIMESTAMPNS, CLOCK_REALTIME
}
export interface PacketSocketOptions {
  readonly ifindex: number;
  /** ETH_P_*; default ETH_P_ALL */
  readonly protocol?: number;
  readonly promiscuous?: boolean;
  /** also frames that this host sends (PACKET_OUTGOING); default false */
  readonly outgoing?: boolean;
  /** frames held for JavaScript before new ones are dropped and counted; default 4096 */
  readonly queue?: number;
}
export interface PacketSocket {
  send(frame: Uint8Array): Promise<void>;
  /** frames dropped because JavaScript did not keep up */
  readonly dropped: number;
  close(): Promise<void>;
}
