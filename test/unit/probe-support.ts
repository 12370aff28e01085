/** A clock that tests move, and a wire with gateways on it in place of packet sockets. */
import type { PacketSocket, PacketSocketOptions, ReceivedFrame } from "../../daemon/kernel/kernel.ts";
import type { ProbeReport } from "../../daemon/model/probe.ts";
import type { Clock } from "../../daemon/probe/clock.ts";
import { buildArp, buildEcho, type Frame, parseFrame } from "../../daemon/probe/frame.ts";
import { Prober, type ProberOptions, type ProbeTarget } from "../../daemon/probe/prober.ts";

export const PROBE_MAC = "02:00:00:00:00:01";
export const GATEWAY_MAC = "02:00:00:00:00:fe";

const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

export class FakeClock implements Clock {
  #ms = 0;
  #timers: { at: number; run: () => void }[] = [];
  static readonly EPOCH_MS = 1_800_000_000_000;

  now(): bigint {
    return BigInt(Math.round(this.#ms * 1e6));
  }
  wallMs(): number {
    return FakeClock.EPOCH_MS + Math.floor(this.#ms);
  }
  /** what the kernel would stamp a frame with */
  stamp(): bigint {
    return BigInt(FakeClock.EPOCH_MS) * 1_000_000n + this.now();
  }
  get ms(): number {
    return this.#ms;
  }
  get pending(): number {
    return this.#timers.length;
  }
  after(ms: number, run: () => void): () => void {
    const timer = { at: this.#ms + Math.max(ms, 0), run };
    this.#timers.push(timer);
    return () => {
      this.#timers = this.#timers.filter((other) => other !== timer);
    };
  }
  /** Time goes by; whatever becomes due runs, with the promises behind it. */
  async advance(ms: number): Promise<void> {
    const end = this.#ms + ms;
    await settled();
    for (;;) {
      const due = this.#timers.filter((timer) => timer.at <= end).sort((a, b) => a.at - b.at)[0];
      if (!due) break;
      this.#timers = this.#timers.filter((timer) => timer !== due);
      this.#ms = Math.max(this.#ms, due.at);
      due.run();
      await settled();
    }
    this.#ms = end;
  }
  /** The process stalls: time goes by and nothing runs. */
  stall(ms: number): void {
    this.#ms += ms;
  }
}

export interface FakeGateway {
  ip: string;
  vlan: number;
  mac?: string;
  arp?: boolean;
  icmp?: boolean;
  delayMs?: number;
  /** requests of each kind to lose */
  lose?: number;
  /** reply in another VLAN */
  replyVlan?: number;
  /** ask who has the echo's source, and reply only when told */
  resolves?: boolean;
}

/** As the kernel hands over a tagged frame: the tag beside it. */
export function received(frame: Uint8Array, timestampNs: bigint): ReceivedFrame {
  const at = new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
  if (frame.length < 18 || at.getUint16(12) !== 0x8100) return { data: frame, packetType: 0, timestampNs };
  const data = new Uint8Array(frame.length - 4);
  data.set(frame.subarray(0, 12), 0);
  data.set(frame.subarray(16), 12);
  return { data, vlan: { tpid: 0x8100, tci: at.getUint16(14) }, packetType: 0, timestampNs };
}

export class FakeWire {
  readonly clock: FakeClock;
  readonly gateways: FakeGateway[] = [];
  readonly sent: { readonly ms: number; readonly frame: Frame }[] = [];
  readonly sockets: FakeSocket[] = [];
  /** a socket opens when this is settled */
  openGate: Promise<void> | null = null;
  openError: Error | null = null;
  sendError: Error | null = null;
  readonly openedOn: number[] = [];

  constructor(clock: FakeClock) {
    this.clock = clock;
  }

  readonly open = async (
    options: PacketSocketOptions,
    onFrames: (frames: readonly ReceivedFrame[]) => void,
  ): Promise<PacketSocket> => {
    await this.openGate;
    if (this.openError) throw this.openError;
    const socket = new FakeSocket(this, onFrames);
    this.sockets.push(socket);
    this.openedOn.push(options.ifindex);
    return socket;
  };

  get openSockets(): number {
    return this.sockets.filter((socket) => !socket.closed).length;
  }

  requests(kind: Frame["kind"]): readonly { readonly ms: number; readonly frame: Frame }[] {
    return this.sent.filter(({ frame }) => frame.kind === kind);
  }

  /** Every open socket hears it. */
  deliver(...frames: Uint8Array[]): void {
    const batch = frames.map((frame) => received(frame, this.clock.stamp()));
    for (const socket of this.sockets) if (!socket.closed) socket.onFrames(batch);
  }

  #pendingEcho: Uint8Array | null = null;

  transmit(bytes: Uint8Array): void {
    const frame = parseFrame(bytes);
    if (!frame) throw new Error("the prober sent a malformed frame");
    this.sent.push({ ms: this.clock.ms, frame });
    for (const gateway of this.gateways) this.#answer(gateway, frame);
  }

  #answer(gateway: FakeGateway, frame: Frame): void {
    const { ip, vlan, mac = GATEWAY_MAC, arp = true, icmp = true, delayMs = 0.25, replyVlan = vlan } = gateway;
    if (frame.ethernet.vlan !== vlan) return;
    const ethernet = { destination: frame.ethernet.source, source: mac, vlan: replyVlan };
    const later = (reply: Uint8Array): void => {
      if (gateway.lose && gateway.lose > 0) gateway.lose--;
      else this.clock.after(delayMs, () => this.deliver(reply));
    };
    if (frame.kind === "arp" && frame.arp.operation === "request" && frame.arp.targetIp === ip && arp) {
      const { senderMac, senderIp } = frame.arp;
      later(
        buildArp(ethernet, {
          operation: "reply",
          senderMac: mac,
          senderIp: ip,
          targetMac: senderMac,
          targetIp: senderIp,
        }),
      );
    }
    if (frame.kind === "arp" && frame.arp.operation === "reply" && this.#pendingEcho) {
      later(this.#pendingEcho);
      this.#pendingEcho = null;
    }
    if (frame.kind === "echo" && frame.echo.type === "request" && frame.echo.destinationIp === ip && icmp) {
      if (frame.ethernet.destination !== mac) return;
      const { sourceIp, identifier, sequence, data } = frame.echo;
      const reply = buildEcho(ethernet, {
        type: "reply",
        sourceIp: ip,
        destinationIp: sourceIp,
        identifier,
        sequence,
        data,
      });
      if (!gateway.resolves) return later(reply);
      this.#pendingEcho = reply;
      later(
        buildArp(
          { ...ethernet, destination: "ff:ff:ff:ff:ff:ff" },
          {
            operation: "request",
            senderMac: mac,
            senderIp: ip,
            targetMac: "00:00:00:00:00:00",
            targetIp: sourceIp,
          },
        ),
      );
    }
  }
}

export class FakeSocket implements PacketSocket {
  closed = false;
  dropped = 0;
  readonly #wire: FakeWire;
  readonly onFrames: (frames: readonly ReceivedFrame[]) => void;
  constructor(wire: FakeWire, onFrames: (frames: readonly ReceivedFrame[]) => void) {
    this.#wire = wire;
    this.onFrames = onFrames;
  }
  async send(frame: Uint8Array): Promise<void> {
    if (this.closed) throw new Error("sent on a closed socket");
    if (this.#wire.sendError) throw this.#wire.sendError;
    this.#wire.transmit(frame);
  }
  async close(): Promise<void> {
    this.closed = true;
  }
}

/** A repeatable source of numbers in [0, 1). */
export function seeded(seed = 1): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

/** A prober on a fake clock and wire. */
export function setUp(options: Partial<ProberOptions> = {}) {
  const clock = new FakeClock();
  const wire = new FakeWire(clock);
  const published: ProbeReport[] = [];
  const logged: string[] = [];
  const prober = new Prober({
    openSocket: wire.open,
    log: { info: (_, message) => logged.push(message), warn: (_, message) => logged.push(message) },
    onReport: (report) => published.push(report),
    clock,
    random: seeded(7),
    ...options,
  });
  return { clock, wire, prober, published, logged };
}

export function target(change: Partial<ProbeTarget> = {}): ProbeTarget {
  return {
    network: "blue",
    clusterNetwork: "oob",
    vlan: 100,
    gateway: "10.0.0.1",
    cidr: "10.0.0.0/24",
    probeAddress: "10.0.0.250",
    innerIfindex: 7,
    mac: PROBE_MAC,
    uplinkHasCarrier: () => true,
    ...change,
  };
}

export const gateway = (change: Partial<FakeGateway> = {}): FakeGateway => ({ ip: "10.0.0.1", vlan: 100, ...change });
export const brief = (reports: readonly ProbeReport[]) =>
  reports.map(({ network, probe, success, reason }) => [network, probe, success, reason]);
