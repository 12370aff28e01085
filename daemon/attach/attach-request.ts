/** Attach requests of clients that are not CNI, checked. The schema of the API has seen their form already. */
import type { AttachRequest } from "../api/backend.ts";
import { PortwrightError } from "../errors.ts";
import { parseCidr } from "../model/ip.ts";
import { stationMac } from "../model/mac.ts";
import { type PortDevice, reachesWorkload } from "../model/attachment.ts";
import { interfaceNameFault } from "../model/names.ts";
import type { Intent } from "../model/resources.ts";
import type { AttachSpec } from "./attachments.ts";
import { Fields } from "./decode.ts";
import { NO_ROUTING } from "./gateways.ts";
import type { Offer } from "./ipam.ts";
import { isIdentifier } from "./environment.ts";
import { networkPort } from "./netconf.ts";
import { parseDevice, takesAddresses } from "./port-device.ts";

export function parseAttachRequest(
  request: AttachRequest,
  intent: Pick<Intent, "networks">,
): Omit<AttachSpec, "netns"> {
  if (!isIdentifier(request.containerId))
    throw refuse("containerId", request.containerId, "must start with a letter or digit, then letters, digits, _ . -");
  const device = requestDevice(request);
  const name = request.interface ?? ("name" in device ? device.name : "");
  const { netns = "" } = request;
  const nameFault = interfaceNameFault(name);
  if (nameFault !== null) throw new PortwrightError("REQUEST_INVALID", `interface ${quote(name)} ${nameFault}`);
  if (reachesWorkload({ device }) !== (netns !== "")) {
    const what = netns === "" ? "is missing: the device has an end there" : "has no meaning for this device";
    throw new PortwrightError("REQUEST_INVALID", `netns ${what} (device.kind ${device.kind})`);
  }
  if (request.addresses.length > 0 && !takesAddresses(device))
    throw new PortwrightError("REQUEST_INVALID", `addresses cannot be set on device.kind ${device.kind}: a VM does so`);
  const mac = request.mac === "" ? "" : stationMac(request.mac);
  if (mac === null) throw refuse("mac", request.mac, "must be the MAC address of a station");
  for (const address of request.addresses) {
    if (parseCidr(address) === null) throw refuse("addresses", address, "must be IP addresses with prefix length");
  }
  const network = intent.networks.get(request.network);
  if (network === undefined)
    throw new PortwrightError("NETWORK_UNKNOWN", `network ${quote(request.network)} is not defined`);
  const result = { ips: request.addresses.map((address) => ({ address })), routes: [], dns: {} };
  const obtain = async (): Promise<Offer> => ({ result, confirmed: Promise.resolve() });
  return {
    containerId: request.containerId,
    interface: name,
    netnsPath: netns,
    port: { ...networkPort(network), mac, device, gated: request.state === "gated" },
    origin: { kind: "api" },
    cni: null,
    routing: NO_ROUTING,
    dad: false,
    addressing: result.ips.length === 0 ? null : { needsPort: false, obtain, release: async () => {} },
  };
}

/** Plain values of the schema, where absent, 0 and "" are the same (they are in protobuf). */
function requestDevice({ device }: AttachRequest): PortDevice {
  if (device === undefined) return { kind: "veth" };
  const given = Object.entries(device).filter(([key, value]) => !(value === "" || (key === "queues" && value === 0)));
  const fields = new Fields(Object.fromEntries(given), "device", "REQUEST_INVALID");
  return parseDevice(fields, () => {
    throw fields.refuse("name", "is missing: which link shall it be?");
  });
}

function refuse(field: string, value: string, what: string): PortwrightError {
  return new PortwrightError("REQUEST_INVALID", `${field} ${what}, not ${quote(value)}`);
}

function quote(text: string): string {
  return JSON.stringify(text.slice(0, 80));
}
