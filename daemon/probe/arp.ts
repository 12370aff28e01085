/** Asks for the gateway's MAC address by ARP (RFC 826), and answers those who ask for ours. Pure. */
import { BROADCAST_MAC, isStationMac, ZERO_MAC } from "../model/mac.ts";
import type { Protocol } from "./exchange.ts";
import { buildArp, type Frame } from "./frame.ts";

const UNSPECIFIED_IPV4 = "0.0.0.0";

export interface ArpQuestion {
  readonly vlan: number;
  readonly mac: string;
  readonly gateway: string;
  /** absent: the ARP probe of RFC 5227, which claims no address and so leaves nothing in anyone's cache */
  readonly probeAddress?: string | undefined;
}

/** The answer is the gateway's MAC address. */
export function arpRequest(question: ArpQuestion): Protocol<string> {
  const senderIp = question.probeAddress ?? UNSPECIFIED_IPV4;
  return {
    request: () =>
      buildArp(
        { destination: BROADCAST_MAC, source: question.mac, vlan: question.vlan },
        {
          operation: "request",
          senderMac: question.mac,
          senderIp,
          targetMac: ZERO_MAC,
          targetIp: question.gateway,
        },
      ),
    match(frame) {
      if (frame.kind !== "arp" || frame.ethernet.vlan !== question.vlan) return null;
      const { destination } = frame.ethernet;
      if (destination !== question.mac && destination !== BROADCAST_MAC) return null;
      const { operation, senderMac, senderIp: answered, targetMac, targetIp } = frame.arp;
      if (operation !== "reply" || answered !== question.gateway) return null;
      if (targetMac !== question.mac || targetIp !== senderIp) return null;
      // Our own frame come back, or an address that no station can have: not the gateway.
      if (senderMac === question.mac || !isStationMac(senderMac)) return null;
      return { answer: senderMac, attempt: null };
    },
  };
}

/** The reply to a request, or to an RFC 5227 probe, for `address` in the request's VLAN; null if it is none. */
export function arpReply(request: Frame, address: string, mac: string): Uint8Array | null {
  if (request.kind !== "arp" || request.arp.operation !== "request" || request.arp.targetIp !== address) return null;
  const { senderMac, senderIp } = request.arp;
  if (senderMac === mac || !isStationMac(senderMac)) return null;
  return buildArp(
    { destination: senderMac, source: mac, vlan: request.ethernet.vlan },
    { operation: "reply", senderMac: mac, senderIp: address, targetMac: senderMac, targetIp: senderIp },
  );
}
