/** Asks the gateway for an ICMP echo (RFC 792). Pure. */
import type { Protocol } from "./exchange.ts";
import { buildEcho } from "./frame.ts";

export interface EchoQuestion {
  readonly vlan: number;
  readonly mac: string;
  readonly gatewayMac: string;
  readonly gateway: string;
  readonly probeAddress: string;
  /** [0, 1) */
  readonly random: () => number;
}

/** says in a capture whose it is; 56 bytes, as ping's default */
const DATA = new TextEncoder().encode("portwright gateway probe".padEnd(56, "."));

/**
 * Identifier and sequence are drawn anew for each try, so that a reply cannot be guessed and names its try. The reply's
 * source MAC is not checked: a router of a VRRP or HSRP group answers from its own, not from the group's.
 */
export function echoRequest(question: EchoQuestion): Protocol<null> {
  const { vlan, mac, gateway, probeAddress, random } = question;
  const tries: { readonly identifier: number; readonly sequence: number }[] = [];
  const uint16 = (): number => Math.floor(random() * 0x10000);
  return {
    request() {
      const token = { identifier: uint16(), sequence: uint16() };
      tries.push(token);
      return buildEcho(
        { destination: question.gatewayMac, source: mac, vlan },
        { type: "request", sourceIp: probeAddress, destinationIp: gateway, ...token, data: DATA },
      );
    },
    match(frame) {
      if (frame.kind !== "echo" || frame.ethernet.vlan !== vlan || frame.ethernet.destination !== mac) return null;
      const { type, sourceIp, destinationIp, identifier, sequence } = frame.echo;
      if (type !== "reply" || sourceIp !== gateway || destinationIp !== probeAddress) return null;
      const attempt = tries.findLastIndex((sent) => sent.identifier === identifier && sent.sequence === sequence);
      return attempt < 0 ? null : { answer: null, attempt };
    },
  };
}
