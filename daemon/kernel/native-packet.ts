/** AF_PACKET sockets over the addon (native/addon/packet*.cc). */
import type { PacketSocket, PacketSocketOptions, ReceivedFrame } from "./kernel.ts";
import { ignoreClosed, native } from "./native-error.ts";

type SocketHandle = object;

/** The functions of native/addon/packet.cc. */
export interface PacketAddon {
  packetOpen(
    ns: object,
    ifindex: number,
    protocol: number,
    promiscuous: boolean,
    outgoing: boolean,
    queue: number,
    onFrames: (frames: ReceivedFrame[]) => void,
  ): Promise<SocketHandle>;
  packetSend(ns: object, socket: SocketHandle, frame: Uint8Array): Promise<void>;
  packetClose(ns: object, socket: SocketHandle): Promise<void>;
  packetDropped(socket: SocketHandle): number;
}

const ETH_P_ALL = 0x0003; // uapi/linux/if_ether.h
const DEFAULT_QUEUE = 4096;

export async function openNativePacketSocket(
  addon: PacketAddon,
  ns: object,
  options: PacketSocketOptions,
  onFrames: (frames: readonly ReceivedFrame[]) => void,
): Promise<PacketSocket> {
  const { ifindex, protocol = ETH_P_ALL, promiscuous = false, outgoing = false, queue = DEFAULT_QUEUE } = options;
  const socket = await native(() => addon.packetOpen(ns, ifindex, protocol, promiscuous, outgoing, queue, onFrames));
  return {
    send: (frame) => native(() => addon.packetSend(ns, socket, frame)),
    get dropped() {
      return addon.packetDropped(socket);
    },
    close: () => ignoreClosed(native(() => addon.packetClose(ns, socket))),
  };
}
