/** Attach requests of clients that are not CNI, checked. The schema of the API has seen their form already. */
import type { AttachRequest } from "../api/backend.ts";
import { PortwrightError } from "../errors.ts";
import { parseCidr } from "../model/ip.ts";
import { stationMac } from "../model/mac.ts";
import { interfaceNameFault } from "../model/names.ts";
import type { Intent } from "../model/resources.ts";
import type { AttachSpec } from "./attachments.ts";
import { NO_ROUTING } from "./gateways.ts";
import { isIdentifier } from "./environment.ts";
import { networkPort } from "./netconf.ts";

export function parseAttachRequest(
  request: AttachRequest,
  intent: Pick<Intent, "networks">,
): Omit<AttachSpec, "netns"> {
  if (!isIdentifier(request.containerId))
    throw refuse("containerId", request.containerId, "must start with a letter or digit, then letters, digits, _ . -");
  const nameFault = interfaceNameFault(request.interface);
  if (nameFault !== null)
    throw new PortwrightError("REQUEST_INVALID", `interface ${quote(request.interface)} ${nameFault}`);
  const mac = request.mac === "" ? "" : stationMac(request.mac);
  if (mac === null) throw refuse("mac", request.mac, "must be the MAC address of a station");
  for (const address of request.addresses) {
    if (parseCidr(address) === null) throw refuse("addresses", address, "must be IP addresses with prefix length");
  }
  const network = intent.networks.get(request.network);
  if (network === undefined)
    throw new PortwrightError("NETWORK_UNKNOWN", `network ${quote(request.network)} is not defined`);
  const fixed = { ips: request.addresses.map((address) => ({ address })), routes: [], dns: {} };
  return {
    containerId: request.containerId,
    interface: request.interface,
    netnsPath: request.netns,
    port: { ...networkPort(network), mac },
    origin: { kind: "api" },
    cni: null,
    routing: NO_ROUTING,
    dad: false,
    addressing: fixed.ips.length === 0 ? null : { obtain: async () => fixed, release: async () => {} },
  };
}

function refuse(field: string, value: string, what: string): PortwrightError {
  return new PortwrightError("REQUEST_INVALID", `${field} ${what}, not ${quote(value)}`);
}

function quote(text: string): string {
  return JSON.stringify(text.slice(0, 80));
}
