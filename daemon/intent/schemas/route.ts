/** How a network's gateway is known: `spec.route` of a Network, and the route annotation of an attachment definition. */
import { type Schema, text } from "./common.ts";

export interface RawRoute {
  readonly mode: "manual" | "auto";
  readonly cidr?: string;
  readonly gateway?: string;
  readonly probeAddress?: string;
  readonly serverIPAddr?: string;
}

const address = { type: "string", "x-must": "be an IP address" } as const;

const routeProperties = {
  mode: { enum: ["manual", "auto"], "x-must": "be manual or auto" },
  cidr: { description: "The network's subnet, e.g. 10.100.0.0/24", type: "string", "x-must": "be a subnet" },
  gateway: address,
  probeAddress: { ...address, description: "A free address of the subnet, from which this host probes the gateway" },
  serverIPAddr: { ...address, description: "The DHCP server, in mode auto" },
} as const;

export const routeSchema = {
  type: "object",
  "x-must": "be a map",
  additionalProperties: false,
  required: ["mode"],
  properties: routeProperties,
} as const;

/** The annotation also holds what a controller found out: read, not used. */
export const routeAnnotationSchema: Schema<RawRoute> = {
  ...routeSchema,
  properties: { ...routeProperties, connectivity: text },
} as const;
