/**
 * Parts of the schemas. `x-must` completes the sentence "<field> must …" in our messages; editors show `description`.
 * JSON Schema draft 7, which ajv and the YAML language server both speak.
 */
export const vlan = { type: "integer", minimum: 1, maximum: 4094, "x-must": "be a VLAN, 1 to 4094" } as const;
export const vlanOrZero = {
  type: "integer",
  minimum: 0,
  maximum: 4094,
  "x-must": "be 0 or a VLAN, 1 to 4094",
} as const;

/** A field of Harvester's: 576 is the least that IPv4 must carry (RFC 791), 9000 the common jumbo frame. */
export const mtu = {
  description: "Largest layer-3 packet in bytes; 0 means 1500",
  type: "integer",
  "x-must": "be 0 or 576 to 9000",
  anyOf: [{ const: 0 }, { minimum: 576, maximum: 9000 }],
} as const;

export const text = { type: "string", "x-must": "be text" } as const;

/** RFC 1123 label, as Kubernetes demands of most names. */
export const dnsLabel = {
  type: "string",
  minLength: 1,
  maxLength: 63,
  pattern: "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$",
  "x-must": "be a DNS label: at most 63 of a-z, 0-9 and -, neither first nor last a -",
} as const;

export const dnsSubdomain = {
  type: "string",
  minLength: 1,
  maxLength: 253,
  pattern: "^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$",
  "x-must": "be a DNS name: DNS labels of a-z, 0-9 and - joined by dots, at most 253 characters",
} as const;

/** `<name>-br` has to fit into the 15 characters of an interface name (IFNAMSIZ, uapi/linux/if.h). */
export const clusterNetworkName = {
  type: "string",
  minLength: 1,
  maxLength: 12,
  pattern: "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$",
  "x-must": "be a DNS label of at most 12 characters (a-z, 0-9 and -, neither first nor last a -)",
} as const;

export const textMap = {
  type: "object",
  "x-must": "be a map of names to texts",
  additionalProperties: { type: "string", "x-must": "be text (put numbers and true/false in quotes)" },
} as const;

export const trunk = {
  description: "The VLANs of a trunk: single ones and ranges, ends included",
  type: "array",
  "x-must": "be a list of {id} and {minID, maxID}",
  items: {
    type: "object",
    additionalProperties: false,
    "x-must": "be {id} or {minID, maxID}",
    properties: { id: vlan, minID: vlan, maxID: vlan },
  },
} as const;

/** What a cluster adds to a resource by itself is read and not used, so that an export can be a file. */
export function metadata<const Name>(name: Name) {
  return {
    type: "object",
    additionalProperties: false,
    required: ["name"],
    "x-must": "be a map",
    properties: {
      name,
      namespace: dnsLabel,
      labels: textMap,
      annotations: textMap,
      generateName: text,
      uid: text,
      resourceVersion: text,
      generation: { type: "integer", "x-must": "be an integer" },
      creationTimestamp: { type: ["string", "null"], "x-must": "be text" },
      deletionTimestamp: { type: ["string", "null"], "x-must": "be text" },
      deletionGracePeriodSeconds: { type: "integer", "x-must": "be an integer" },
      selfLink: text,
      finalizers: { type: "array", "x-must": "be a list", items: text },
      ownerReferences: { type: "array", "x-must": "be a list" },
      managedFields: { type: "array", "x-must": "be a list" },
    },
  } as const;
}

declare const fitting: unique symbol;
/** A JSON schema. What fits it has the type, by the word of whoever wrote both; for the compiler only. */
export type Schema<Raw> = { readonly [keyword: string]: unknown; readonly [fitting]?: Raw };

interface Properties {
  readonly apiVersion: { readonly const: string };
  readonly [name: string]: object;
}

/** The frame of every kind. Its status is what some cluster said: read, not used. */
export function resource<Raw>(
  title: string,
  apiVersion: string,
  kind: string,
  metadataSchema: object,
  properties: Readonly<Record<string, object>>,
): Schema<Raw> & { readonly properties: Properties } {
  return {
    $schema: "http://json-schema.org/draft-07/schema#",
    title,
    type: "object",
    additionalProperties: false,
    required: ["apiVersion", "kind", "metadata", ...Object.keys(properties)],
    properties: {
      apiVersion: { const: apiVersion },
      kind: { const: kind },
      metadata: metadataSchema,
      ...properties,
      status: { description: "ignored" },
    },
  };
}
