/**
 * A probe port: the packet socket on the inner end of a cluster network's probe veth. Opens when first needed and again
 * after it failed, sorts what arrives by VLAN, and answers ARP requests for the probe addresses, since a gateway must be
 * able to resolve our address before it can reply to it.
 */
import type { PacketSocket, PacketSocketOptions, ReceivedFrame } from "../kernel/kernel.ts";
import { formatIpv4, parseIpv4 } from "../model/ip.ts";
import { macBytes } from "../model/mac.ts";
import { arpReply } from "./arp.ts";
import { arrivedAt, type Clock } from "./clock.ts";
import { ETH_P_ALL, ETH_P_ARP, ETH_P_IP, type Frame, layoutOf, parseFrame } from "./frame.ts";

export type OpenPacketSocket = (
  options: PacketSocketOptions,
  onFrames: (frames: readonly ReceivedFrame[]) => void,
) => Promise<PacketSocket>;

export type FrameListener = (frame: Frame, arrived: bigint) => void;

export interface ProbePortOptions {
  readonly ifindex: number;
  readonly mac: string;
  readonly openSocket: OpenPacketSocket;
  readonly clock: Clock;
}

/** frames of one batch that are parsed; the rest of a flood is counted and left */
const PARSED_PER_BATCH = 512;
/** ARP replies a second, so that requests cannot be turned into load */
const REPLIES_PER_SECOND = 64;

export class ProbePort {
  readonly #options: ProbePortOptions;
  readonly #mac: Uint8Array;
  readonly #listeners = new Map<number, Set<FrameListener>>();
  #addresses: ReadonlyMap<number, ReadonlySet<number>> = new Map();
  #socket: PacketSocket | null = null;
  #opening: Promise<void> | null = null;
  readonly #closing = new Set<Promise<void>>();
  #closed = false;
  #renew = false;
  #received = 0;
  #overlooked = 0;
  #droppedBefore = 0;
  #replies = REPLIES_PER_SECOND;
  #repliesSince: bigint;

  constructor(options: ProbePortOptions) {
    this.#options = options;
    this.#mac = macBytes(options.mac);
    this.#repliesSince = options.clock.now();
  }

  /** frames that reached JavaScript since the beginning */
  get received(): number {
    return this.#received;
  }

  /** frames that a flood kept from being looked at since the beginning */
  get lost(): number {
    return this.#droppedBefore + (this.#socket?.dropped ?? 0) + this.#overlooked;
  }

  /** The addresses to answer ARP for, by VLAN. */
  setAddresses(addresses: ReadonlyMap<number, ReadonlySet<string>>): void {
    const numbers = new Map<number, Set<number>>();
    for (const [vlan, texts] of addresses) {
      numbers.set(vlan, new Set([...texts].map(parseIpv4).filter((value) => value !== null)));
    }
    this.#addresses = numbers;
  }

  /** Opens the socket if it is not open. Throws what the kernel said. */
  async open(): Promise<void> {
    if (this.#closed) throw new Error("the probe port is closed");
    if (this.#socket) return;
    this.#opening ??= this.#open().finally(() => {
      this.#opening = null;
    });
    await this.#opening;
  }

  /** A socket that cannot send is given up: the next `open` makes another. */
  async send(frame: Uint8Array): Promise<void> {
    const socket = this.#socket;
    if (!socket) throw new Error("the probe port is not open");
    try {
      await socket.send(frame);
    } catch (error) {
      this.#discard(socket);
      throw error;
    }
  }

  /** Calls with ARP and echo frames of a VLAN; the returned function ends it. */
  listen(vlan: number, listener: FrameListener): () => void {
    const set = this.#listeners.get(vlan) ?? new Set();
    this.#listeners.set(vlan, set.add(listener));
    return () => {
      set.delete(listener);
      if (set.size === 0 && this.#listeners.get(vlan) === set) this.#listeners.delete(vlan);
      this.#renewIfIdle();
    };
  }

  /**
   * Called when not one frame came during a probe: the network may be dead, or the socket deaf (its interface went down
   * and up, or was replaced). A new socket costs little; it is made once nobody waits on this one.
   */
  doubt(): void {
    this.#renew = true;
    this.#renewIfIdle();
  }

  /** No listener is called any more once this was called; resolves when the socket is closed. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#listeners.clear();
    await this.#opening?.catch(() => undefined);
    if (this.#socket) this.#discard(this.#socket);
    await Promise.all(this.#closing);
  }

  async #open(): Promise<void> {
    const { ifindex, openSocket } = this.#options;
    // Not ETH_P_ARP and ETH_P_IP: only sockets for all protocols see a frame before the kernel takes its tag away
    // (net/core/dev.c, __netif_receive_skb_core), and with it the VLAN that the frame came in.
    const socket = await openSocket({ ifindex, protocol: ETH_P_ALL }, (frames) => this.#receive(frames));
    this.#socket = socket;
    this.#renew = false;
    if (this.#closed) {
      this.#discard(socket);
      throw new Error("the probe port is closed");
    }
  }

  #discard(socket: PacketSocket): void {
    if (this.#socket !== socket) return;
    this.#droppedBefore += socket.dropped;
    this.#socket = null;
    const closing = socket
      .close()
      .catch(() => undefined) // gone is all that is asked of it
      .finally(() => this.#closing.delete(closing));
    this.#closing.add(closing);
  }

  #renewIfIdle(): void {
    if (this.#renew && this.#listeners.size === 0 && this.#socket) this.#discard(this.#socket);
  }

  #receive(batch: readonly ReceivedFrame[]): void {
    if (this.#closed) return;
    const { clock } = this.#options;
    const now = clock.now();
    const wallMs = clock.wallMs();
    this.#received += batch.length;
    let parsed = 0;
    for (const received of batch) {
      if (!this.#concerns(received)) continue;
      if (++parsed > PARSED_PER_BATCH) {
        this.#overlooked++;
        continue;
      }
      const frame = parseFrame(received.data, received.vlan);
      if (!frame) continue;
      this.#answer(frame, now);
      const listeners = this.#listeners.get(frame.ethernet.vlan);
      if (!listeners) continue;
      const arrived = arrivedAt(received.timestampNs, now, wallMs);
      for (const listener of [...listeners]) listener(frame, arrived);
    }
  }

  /** Looks at few bytes: whatever is flooded in any VLAN comes by here. Says yes to ARP and ICMP that may be for us. */
  #concerns({ data, vlan: tag }: ReceivedFrame): boolean {
    const layout = layoutOf(data, tag);
    if (!layout) return false;
    const { vlan, etherType, payload } = layout;
    const addresses = this.#addresses.get(vlan);
    if (!addresses && !this.#listeners.has(vlan)) return false;
    const unicast = this.#mac.every((byte, i) => byte === data[i]);
    if (etherType === ETH_P_IP) return unicast && data[payload + 9] === 1; // IPPROTO_ICMP
    if (etherType !== ETH_P_ARP || data.length < payload + 28) return false;
    if (unicast) return true;
    if (data[payload + 7] === 2) return this.#mac.every((byte, i) => byte === data[payload + 18 + i]);
    const at = new DataView(data.buffer, data.byteOffset, data.byteLength);
    return addresses?.has(at.getUint32(payload + 24)) ?? false;
  }

  #answer(frame: Frame, now: bigint): void {
    if (frame.kind !== "arp" || frame.arp.operation !== "request") return;
    const address = parseIpv4(frame.arp.targetIp);
    if (address === null || !this.#addresses.get(frame.ethernet.vlan)?.has(address)) return;
    const reply = arpReply(frame, formatIpv4(address), this.#options.mac);
    if (!reply || !this.#mayReply(now)) return;
    this.send(reply).catch(() => undefined); // whoever probes next meets the same error and reports it
  }

  #mayReply(now: bigint): boolean {
    if (now - this.#repliesSince >= 1_000_000_000n) {
      this.#repliesSince = now;
      this.#replies = REPLIES_PER_SECOND;
    }
    if (this.#replies === 0) return false;
    this.#replies--;
    return true;
  }
}
