/** What the DHCP client tells at its events (native/dhcp/hook.c): a line in, an event out. Pure. */
import { isHostAddress, parseCidr, parseIp } from "../model/ip.ts";

export type DhcpEvent =
  | {
      readonly kind: "lease";
      readonly address: string;
      readonly prefixLength: number;
      readonly server: string;
      /** s */
      readonly seconds: number;
    }
  /** nothing is configured: said at the start of a client, too */
  | { readonly kind: "unconfigured" }
  /** the server takes back what it gave */
  | { readonly kind: "refused" }
  /** no server has answered */
  | { readonly kind: "unanswered" };

/** null: nothing that can be used, such as a lease that no interface can have. A server chose the values. */
export function parseEvent(line: string): DhcpEvent | null {
  const [name = "", ...fields] = line.split("\t");
  switch (name) {
    case "bound":
    case "renew":
      return parseLease(new Map(fields.map(halves)));
    case "deconfig":
      return { kind: "unconfigured" };
    case "nak":
      return { kind: "refused" };
    case "leasefail":
      return { kind: "unanswered" };
    default:
      return null;
  }
}

function parseLease(fields: ReadonlyMap<string, string>): DhcpEvent | null {
  const address = fields.get("ip") ?? "";
  // Without a subnet mask the server says nothing of who else is on the link.
  const prefixLength = Number(fields.get("mask") ?? "32");
  const seconds = Number(fields.get("lease"));
  const cidr = parseCidr(`${address}/${prefixLength}`);
  if (cidr === null || cidr.family !== 4 || cidr.prefixLength === 0) return null;
  if (!isHostAddress(cidr, { family: 4, value: cidr.address }) || !isUnicast(cidr.address)) return null;
  if (!Number.isInteger(seconds) || seconds <= 0) return null;
  const server = fields.get("serverid") ?? "";
  return { kind: "lease", address, prefixLength, server: parseIp(server) === null ? "" : server, seconds };
}

/** Neither "this network", loopback, nor 224.0.0.0 and above (RFC 6890). */
function isUnicast(value: bigint): boolean {
  const top = value >> 24n;
  return top > 0n && top !== 127n && top < 224n;
}

function halves(field: string): readonly [string, string] {
  const at = field.indexOf("=");
  return [field.slice(0, at), field.slice(at + 1)];
}
