/** The options of `portwright attach` as the request that they mean. */
import { readFileSync } from "node:fs";
import { basename } from "node:path";
import { parseArgs } from "node:util";
import type { AttachRequest, DeviceRequest } from "../api/backend.ts";
import { UsageError } from "./usage-error.ts";

export interface AttachOptions {
  readonly request: AttachRequest;
  readonly socket: string;
  readonly json: boolean;
}

const OPTIONS = {
  network: { type: "string" },
  netns: { type: "string" },
  name: { type: "string" },
  container: { type: "string" },
  mac: { type: "string", default: "" },
  address: { type: "string", multiple: true, default: [] as string[] },
  tap: { type: "boolean", default: false },
  device: { type: "string" },
  queues: { type: "string" },
  owner: { type: "string" },
  group: { type: "string" },
  gated: { type: "boolean", default: false },
  socket: { type: "string" },
  json: { type: "boolean", default: false },
} as const;

/** Where `ip netns` keeps them. */
const NETNS_DIRECTORY = "/run/netns";

export function attachOptions(args: readonly string[], defaultSocket: string): AttachOptions {
  const { values } = parseArgs({ args: [...args], options: OPTIONS });
  const { network, name, mac, address: addresses, socket = defaultSocket, json } = values;
  if (network === undefined) throw new UsageError("--network is missing: which network shall it be?");
  const netns =
    values.netns === undefined || values.netns.includes("/") ? values.netns : `${NETNS_DIRECTORY}/${values.netns}`;
  const device = deviceOf(values);
  const onHost = netns === undefined;
  if (onHost && device.kind === "veth")
    throw new UsageError("--netns is missing; without it give --tap or --device, for a port on this host");
  if (!onHost && device.kind === "existing")
    throw new UsageError("--device is a link of this host: it does not go with --netns");
  const container = values.container ?? (onHost ? (device.name ?? "") : basename(netns));
  if (container === "") throw new UsageError("--container is missing: nothing here has a name to be known by");
  const wanted = onHost ? (name ?? device.name ?? "tap") : (name ?? "eth0");
  const request = {
    ...{ network, containerId: container, interface: wanted, mac, addresses },
    state: values.gated ? ("gated" as const) : ("ready" as const),
    ...(netns === undefined ? {} : { netns }),
    ...(device.kind === "veth" ? {} : { device }),
  };
  return { request, socket, json };
}

interface DeviceOptions {
  readonly tap: boolean;
  readonly netns?: string | undefined;
  readonly name?: string | undefined;
  readonly device?: string | undefined;
  readonly queues?: string | undefined;
  readonly owner?: string | undefined;
  readonly group?: string | undefined;
}

function deviceOf({ tap, netns, name, device, queues, owner, group }: DeviceOptions): DeviceRequest {
  if (!tap) {
    for (const [option, value] of Object.entries({ queues, owner, group }))
      if (value !== undefined) throw new UsageError(`--${option} is of a tap: give --tap as well`);
    return device === undefined ? { kind: "veth" } : { kind: "existing", name: device };
  }
  if (device !== undefined)
    throw new UsageError("--tap makes a link and --device takes one that is there: give one of them");
  return {
    kind: netns === undefined ? "tap" : "inner-tap",
    ...(queues === undefined ? {} : { queues: wholeNumber(queues, "--queues") }),
    ...(owner === undefined ? {} : { owner: idOf(owner, "/etc/passwd", "--owner") }),
    ...(group === undefined ? {} : { group: idOf(group, "/etc/group", "--group") }),
    ...(netns === undefined && name !== undefined ? { name } : {}),
  };
}

function wholeNumber(text: string, option: string): number {
  if (!/^\d{1,10}$/.test(text)) throw new UsageError(`${option} must be a whole number, not ${JSON.stringify(text)}`);
  return Number(text);
}

/** A number, or a name of this host's own files: passwd(5), group(5). */
function idOf(text: string, file: string, option: string): number {
  if (/^\d+$/.test(text)) return wholeNumber(text, option);
  for (const line of readFileSync(file, "utf8").split("\n")) {
    const [name, , id] = line.split(":");
    if (name === text && id !== undefined) return wholeNumber(id, option);
  }
  throw new UsageError(`${option}: ${file} has no ${JSON.stringify(text)}; a number works, too`);
}
