/**
 * A few stations on a switch, whichever datapath it is: each the far end of a link of its own namespace, with a tap that
 * tells what arrives, as it would lie on the wire.
 */
import type { Datapath } from "../../daemon/datapath/datapath.ts";
import type { Lab, LabHost } from "../../daemon/demo/lab.ts";
import type { PacketSocket, ReceivedFrame } from "../../daemon/kernel/kernel.ts";
import type { PortConfig } from "../../daemon/model/port.ts";
import { attachmentAlias } from "../../daemon/model/target.ts";

export interface Arrival {
  readonly port: number;
  /** hexadecimal, the tag in its place */
  readonly frame: string;
}

interface Port {
  readonly ifindex: number;
  readonly socket: PacketSocket;
}

export class SwitchBed {
  readonly host: LabHost;
  readonly #ports: readonly Port[];
  readonly #arrivals: Arrival[];
  #datapath: Datapath | null = null;

  private constructor(host: LabHost, ports: readonly Port[], arrivals: Arrival[]) {
    this.host = host;
    this.#ports = ports;
    this.#arrivals = arrivals;
  }

  /** `workloads`: the first so many ports; the others are NICs */
  static async make(lab: Lab, name: string, ports: number, workloads: number): Promise<SwitchBed> {
    const host = await lab.host(name);
    await silence(host);
    const arrivals: Arrival[] = [];
    const made = Array.from({ length: ports }, async (_, port) => {
      const station = await lab.host(`${name}-s${port}`);
      await silence(station);
      const cable = await lab.cable({ host, interface: `p${port}` }, { host: station, interface: "eth0" });
      const alias = attachmentAlias("differential", "net", `s${port}`);
      if (port < workloads) await host.namespace.changeLink({ ifindex: cable.a }, { alias });
      const options = { ifindex: cable.b, promiscuous: true };
      const socket = await station.namespace.openPacketSocket(options, (frames) => {
        for (const frame of frames) arrivals.push({ port, frame: onTheWire(frame) });
      });
      return { ifindex: cable.a, socket };
    });
    return new SwitchBed(host, await Promise.all(made), arrivals);
  }

  use(datapath: Datapath): void {
    this.#datapath = datapath;
  }

  async setPort(port: number, config: PortConfig): Promise<void> {
    await this.#switch.setPort(this.#at(port).ifindex, config);
  }

  async send(port: number, frame: Uint8Array): Promise<void> {
    await this.#at(port).socket.send(frame);
  }

  /** Those with the mark, in the order of ports. */
  arrived(mark: string): readonly Arrival[] {
    const hex = Buffer.from(mark).toString("hex");
    const marked = this.#arrivals.filter(({ frame }) => frame.includes(hex));
    return marked.toSorted((a, b) => a.port - b.port || (a.frame < b.frame ? -1 : 1));
  }

  forget(): void {
    this.#arrivals.length = 0;
  }

  get dropped(): number {
    return this.#ports.reduce((all, { socket }) => all + socket.dropped, 0);
  }

  async close(): Promise<void> {
    for (const { socket } of this.#ports) await socket.close();
    await this.#datapath?.destroy();
  }

  get #switch(): Datapath {
    if (this.#datapath === null) throw new Error("the bed has no switch");
    return this.#datapath;
  }

  #at(port: number): Port {
    const found = this.#ports[port];
    if (found === undefined) throw new RangeError(`there is no port ${port}`);
    return found;
  }
}

/** No router solicitations, no duplicate address detection: only what a test sends is there. */
async function silence({ namespace }: LabHost): Promise<void> {
  await namespace.writeSysctl("net/ipv6/conf/all/disable_ipv6", "1");
  await namespace.writeSysctl("net/ipv6/conf/default/disable_ipv6", "1");
}

/** A tag may come in the frame or beside it. */
function onTheWire({ data, vlan }: ReceivedFrame): string {
  const hex = Buffer.from(data).toString("hex");
  if (vlan === undefined) return hex;
  const tag = Buffer.alloc(4);
  tag.writeUInt16BE(vlan.tpid, 0);
  tag.writeUInt16BE(vlan.tci, 2);
  return hex.slice(0, 24) + tag.toString("hex") + hex.slice(24);
}
