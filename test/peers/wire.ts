/** Stations on the wire: a namespace with one interface, which sends raw frames and keeps all that it receives. */
import type { Namespace, PacketSocket, ReceivedFrame } from "../../daemon/kernel/kernel.ts";
import type { Lab } from "./switch-bench.ts";

export class WireStation {
  readonly name: string;
  readonly ns: Namespace;
  /** the end of the veth in the switch's namespace */
  readonly port: number;
  readonly #socket: PacketSocket;
  readonly #received: ReceivedFrame[];

  private constructor(name: string, ns: Namespace, port: number, socket: PacketSocket, received: ReceivedFrame[]) {
    this.name = name;
    this.ns = ns;
    this.port = port;
    this.#socket = socket;
    this.#received = received;
  }

  static async join(lab: Lab, host: Namespace, name: string, mtu = 1500): Promise<WireStation> {
    const ns = await lab.namespace(name);
    const link = await lab.veth(host, name, ns, mtu);
    const received: ReceivedFrame[] = [];
    const socket = await ns.openPacketSocket({ ifindex: link.peer, promiscuous: true }, (frames) => {
      received.push(...frames);
    });
    return new WireStation(name, ns, link.host, socket, received);
  }

  send(frame: Uint8Array): Promise<void> {
    return this.#socket.send(frame);
  }

  /** What came since the last call. */
  take(): readonly ReceivedFrame[] {
    return this.#received.splice(0);
  }
  get waiting(): number {
    return this.#received.length;
  }

  close(): Promise<void> {
    return this.#socket.close();
  }
}

/** The octets as they lay on the wire: the kernel keeps the outermost tag apart, in the metadata. */
export function onWire({ data, vlan }: ReceivedFrame): string {
  if (vlan === undefined) return Buffer.from(data).toString("hex");
  const tag = Buffer.alloc(4);
  tag.writeUInt16BE(vlan.tpid, 0);
  tag.writeUInt16BE(vlan.tci, 2);
  return Buffer.concat([data.subarray(0, 12), tag, data.subarray(12)]).toString("hex");
}
