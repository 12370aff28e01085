/**
 * A workload that speaks 802.1Q itself, as a VM with VLAN interfaces of its own does: it answers ARP and ICMP echo in
 * each of its VLANs and can ping in them. Frames are real and tagged; only the IP stack is small, since not every kernel
 * has 8021q.
 */
import type { Namespace, PacketSocket, ReceivedFrame } from "../kernel/kernel.ts";
import { BROADCAST_MAC, ZERO_MAC } from "../model/mac.ts";
import { buildArp, buildEcho, type Frame, parseFrame } from "../probe/frame.ts";

export class TaggedHost {
  readonly #mac: string;
  /** VLAN -> address */
  readonly #addresses: ReadonlyMap<number, string>;
  readonly #waiters = new Set<(frame: Frame) => void>();
  #socket: PacketSocket | null = null;
  #identifier = 1;

  private constructor(mac: string, addresses: ReadonlyMap<number, string>) {
    this.#mac = mac;
    this.#addresses = addresses;
  }

  static async open(
    namespace: Namespace,
    interfaceName: string,
    addresses: ReadonlyMap<number, string>,
  ): Promise<TaggedHost> {
    const link = await namespace.link({ name: interfaceName });
    if (!link) throw new Error(`no interface ${interfaceName}`);
    const self = new TaggedHost(link.mac, addresses);
    self.#socket = await namespace.openPacketSocket({ ifindex: link.ifindex }, (frames) => self.#receive(frames));
    return self;
  }

  /** true if an echo reply came back in the same VLAN within the time */
  async ping(vlan: number, address: string, timeoutMs: number): Promise<boolean> {
    const source = this.#addresses.get(vlan);
    if (source === undefined) throw new Error(`no address in VLAN ${vlan}`);
    const deadline = Date.now() + timeoutMs;
    const arp = this.#await(
      deadline,
      (frame) =>
        frame.kind === "arp" &&
        frame.ethernet.vlan === vlan &&
        frame.arp.operation === "reply" &&
        frame.arp.senderIp === address,
    );
    await this.#send(
      buildArp(
        { destination: BROADCAST_MAC, source: this.#mac, vlan },
        { operation: "request", senderMac: this.#mac, senderIp: source, targetMac: ZERO_MAC, targetIp: address },
      ),
    );
    const answer = await arp;
    if (answer?.kind !== "arp") return false;
    const identifier = this.#identifier++ & 0xffff;
    const echo = this.#await(
      deadline,
      (frame) =>
        frame.kind === "echo" &&
        frame.ethernet.vlan === vlan &&
        frame.echo.type === "reply" &&
        frame.echo.sourceIp === address &&
        frame.echo.identifier === identifier,
    );
    await this.#send(
      buildEcho(
        { destination: answer.arp.senderMac, source: this.#mac, vlan },
        {
          type: "request",
          sourceIp: source,
          destinationIp: address,
          identifier,
          sequence: 1,
          data: new Uint8Array(32),
        },
      ),
    );
    return (await echo) !== null;
  }

  async close(): Promise<void> {
    await this.#socket?.close();
    this.#socket = null;
  }

  async #send(frame: Uint8Array): Promise<void> {
    await this.#socket?.send(frame);
  }

  #await(deadline: number, wanted: (frame: Frame) => boolean): Promise<Frame | null> {
    return new Promise((resolve) => {
      const end = (frame: Frame | null): void => {
        clearTimeout(timer);
        this.#waiters.delete(look);
        resolve(frame);
      };
      const look = (frame: Frame): void => {
        if (wanted(frame)) end(frame);
      };
      const timer = setTimeout(() => end(null), Math.max(0, deadline - Date.now()));
      this.#waiters.add(look);
    });
  }

  #receive(frames: readonly ReceivedFrame[]): void {
    for (const { data, vlan } of frames) {
      const frame = parseFrame(data, vlan);
      if (!frame) continue;
      for (const waiter of [...this.#waiters]) waiter(frame);
      const reply = this.#reply(frame);
      if (reply) this.#send(reply).catch(() => undefined); // the namespace is being taken down
    }
  }

  #reply(frame: Frame): Uint8Array | null {
    const { vlan, source } = frame.ethernet;
    const own = this.#addresses.get(vlan);
    if (own === undefined) return null;
    const ethernet = { destination: source, source: this.#mac, vlan };
    if (frame.kind === "arp") {
      const { operation, targetIp, senderMac, senderIp } = frame.arp;
      if (operation !== "request" || targetIp !== own) return null;
      return buildArp(ethernet, {
        operation: "reply",
        senderMac: this.#mac,
        senderIp: own,
        targetMac: senderMac,
        targetIp: senderIp,
      });
    }
    const { echo } = frame;
    if (echo.type !== "request" || echo.destinationIp !== own || frame.ethernet.destination !== this.#mac) return null;
    return buildEcho(ethernet, { ...echo, type: "reply", sourceIp: own, destinationIp: echo.sourceIp });
  }
}
