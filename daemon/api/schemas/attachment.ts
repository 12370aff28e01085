/** JSON Schemas of the attach API. They validate, serialise, type the handlers and make the OpenAPI document. */
import type { Collected } from "../../attach/collector.ts";
import type { AttachmentView } from "../views.ts";
import { errorSchema } from "./error.ts";

type Members<T> = Readonly<Record<keyof T, object>>;

const ATTACHMENT_ID = "^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,252}/[!-.0-9;-~]{1,15}$";

const USER = { type: "integer", minimum: 0, maximum: 0xffff_fffe } as const;

/** Members that a kind does not have are refused by parseDevice(): a schema would not say which. */
const deviceSchema = {
  type: "object",
  additionalProperties: false,
  required: ["kind"],
  properties: {
    kind: {
      type: "string",
      enum: ["veth", "inner-tap", "tap", "existing"],
      description:
        "veth: a pair with one end in netns; inner-tap: the same with a tap behind it; tap: a tap on the host; existing: a link that is there on the host",
    },
    queues: { type: "integer", minimum: 0, maximum: 256, description: "of a tap; more than 1: multi-queue" },
    owner: { ...USER, description: "user that may open the tap" },
    group: { ...USER, description: "group that may open the tap" },
    name: {
      type: "string",
      pattern: "^[!-.0-9;-~]{0,15}$",
      description: "of the link on the host: of an existing one, or of a tap (derived if left out)",
    },
  },
} as const;

/** Interface names here are printable ASCII without "/" and ":", so characters are bytes (IFNAMSIZ is 16 with the NUL). */
export const attachRequestSchema = {
  type: "object",
  additionalProperties: false,
  required: ["network", "containerId"],
  properties: {
    network: {
      type: "string",
      pattern: "^[a-zA-Z0-9][a-zA-Z0-9_.-]*(/[a-zA-Z0-9][a-zA-Z0-9_.-]*)?$",
      maxLength: 253,
      description: "a Network of the intent",
    },
    netns: {
      type: "string",
      pattern: "^/[^\\u0000]*$",
      maxLength: 4095,
      description: "path of the workload's network namespace; needed unless the device is in the host's alone",
    },
    containerId: { type: "string", pattern: "^[a-zA-Z0-9][a-zA-Z0-9_.-]*$", maxLength: 253 },
    interface: {
      type: "string",
      pattern: "^[!-.0-9;-~]{1,15}$",
      not: { enum: [".", ".."] },
      description: "name in the workload, 1 to 15 bytes; may be left out where device.name is given",
    },
    mac: {
      type: "string",
      pattern: "^(|[0-9a-fA-F]{2}(:[0-9a-fA-F]{2}){5})$",
      default: "",
      description: "empty: the daemon chooses",
    },
    addresses: {
      type: "array",
      maxItems: 64,
      default: [],
      items: { type: "string", pattern: "^[0-9a-fA-F:.]{2,45}/[0-9]{1,3}$" },
      description: "static addresses with prefix length; none: layer 2 only",
    },
    device: deviceSchema,
    state: {
      type: "string",
      enum: ["ready", "gated"],
      default: "ready",
      description: "gated: no frame passes, in or out, and nothing is learned, until the port is opened",
    },
  },
} as const;

export const attachmentSchema = {
  type: "object",
  additionalProperties: false,
  required: ["id", "containerId", "interface", "network", "clusterNetwork", "state"],
  properties: {
    id: { type: "string", description: "<containerId>/<interface>" },
    containerId: { type: "string" },
    interface: { type: "string" },
    netnsPath: { type: "string" },
    netns: {
      type: "object",
      additionalProperties: false,
      properties: { device: { type: "string" }, inode: { type: "string" } },
    },
    clusterNetwork: { type: "string" },
    network: { type: "string" },
    vlans: {
      type: "object",
      additionalProperties: false,
      properties: {
        mode: { type: "string", enum: ["access", "untagged", "trunk"] },
        vlan: { type: "integer" },
        tagged: { type: "string", description: '"100,200-210"' },
        native: { type: "integer" },
        defaultVlan: { type: "boolean", description: "frames of VLAN 1 leave the port as well, untagged" },
      },
    },
    device: deviceSchema,
    isolated: { type: "boolean" },
    fdbLimit: { type: "integer" },
    hairpin: { type: "boolean" },
    spoofCheck: { type: "boolean" },
    masquerade: { type: "boolean" },
    containerDown: { type: "boolean", description: "the workload's end was left down, for the workload to set up" },
    mac: { type: "string" },
    mtu: { type: "integer" },
    hostInterface: { type: "string" },
    hostIfindex: { type: "integer" },
    ips: {
      type: "array",
      items: {
        type: "object",
        additionalProperties: false,
        properties: { address: { type: "string" }, prefixLength: { type: "integer" }, gateway: { type: "string" } },
      },
    },
    routes: {
      type: "array",
      items: {
        type: "object",
        additionalProperties: false,
        properties: { destination: { type: "string" }, prefixLength: { type: "integer" }, gateway: { type: "string" } },
      },
    },
    state: { type: "string", enum: ["pending", "ready", "gated"] },
    origin: { type: "string", enum: ["api", "cni"] },
    createdAt: { type: "string", description: "ISO 8601" },
  } satisfies Members<AttachmentView>,
} as const;

export const attachmentListSchema = {
  type: "object",
  additionalProperties: false,
  required: ["attachments"],
  properties: { attachments: { type: "array", items: attachmentSchema } },
} as const;

export const collectedSchema = {
  type: "object",
  additionalProperties: false,
  required: ["removed", "failed"],
  properties: {
    removed: { type: "array", items: { type: "string" }, description: "ids" },
    failed: {
      type: "array",
      items: {
        type: "object",
        additionalProperties: false,
        required: ["id", "message"],
        properties: { id: { type: "string" }, message: { type: "string" } },
      },
    },
  } satisfies Members<Collected>,
} as const;

export const idParams = {
  type: "object",
  additionalProperties: false,
  required: ["id"],
  properties: {
    id: {
      type: "string",
      pattern: ATTACHMENT_ID,
      description: "<containerId>/<interface>, percent-encoded as one path segment",
    },
  },
} as const;

export const cniRequestSchema = {
  type: "object",
  additionalProperties: false,
  required: ["env", "stdin"],
  properties: {
    env: {
      type: "object",
      maxProperties: 256,
      propertyNames: { pattern: "^CNI_" },
      additionalProperties: { type: "string" },
      description: "the CNI_* variables",
    },
    stdin: { type: "string", description: "the network configuration, verbatim" },
  },
} as const;

export const cniReplySchema = {
  type: "object",
  additionalProperties: false,
  required: ["exitCode", "stdout", "stderr"],
  properties: { exitCode: { type: "integer", enum: [0, 1] }, stdout: { type: "string" }, stderr: { type: "string" } },
} as const;

/** A CniReply of exit code 1, with the coded error beside it: the shim reads the one, other clients the other. */
export const cniErrorSchema = {
  ...cniReplySchema,
  properties: { ...cniReplySchema.properties, error: errorSchema.properties.error },
} as const;
