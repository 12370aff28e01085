/** The `device` of a request, in the same words in a network configuration and by HTTP. Pure. */
import type { PortDevice, TapOptions } from "../model/attachment.ts";
import { hostNameFault, interfaceNameFault } from "../model/names.ts";
import type { Fields } from "./decode.ts";

const KINDS = ["veth", "inner-tap", "tap", "existing"] as const satisfies readonly PortDevice["kind"][];

/** uid_t and gid_t less the value that means "none" */
const MAX_USER = 0xffff_fffe;
const MAX_QUEUES = 256; // MAX_TAP_QUEUES, drivers/net/tun.c

/** Which of the members each kind has; `name`: of the link in the host's namespace. */
const MEMBERS: Readonly<Record<PortDevice["kind"], readonly string[]>> = {
  veth: [],
  "inner-tap": ["queues", "owner", "group"],
  tap: ["queues", "owner", "group", "name"],
  existing: ["name"],
};

/** `fallbackName`: of an existing device that is not named */
export function parseDevice(fields: Fields, fallbackName: () => string): PortDevice {
  const kind = KINDS.find((one) => one === (fields.string("kind") ?? ""));
  if (kind === undefined) throw fields.refuse("kind", `must be one of ${KINDS.join(", ")}`, fields.string("kind"));
  for (const key of ["queues", "owner", "group", "name"]) {
    if (fields.has(key) && !MEMBERS[kind].includes(key)) throw fields.refuse(key, `has no meaning for kind ${kind}`);
  }
  switch (kind) {
    case "veth":
      return { kind };
    case "inner-tap":
      return { kind, tap: parseTap(fields) };
    case "tap":
      return { kind, name: parseName(fields, hostNameFault), tap: parseTap(fields) };
    case "existing":
      return { kind, name: parseName(fields, interfaceNameFault) || fallbackName() };
  }
}

function parseTap(fields: Fields): TapOptions {
  return {
    queues: fields.integer("queues", 1, MAX_QUEUES) ?? 1,
    owner: fields.integer("owner", 0, MAX_USER) ?? null,
    group: fields.integer("group", 0, MAX_USER) ?? null,
  };
}

function parseName(fields: Fields, fault: (name: string) => string | null): string {
  const name = fields.string("name") ?? "";
  if (name === "") return name;
  const why = fault(name);
  if (why !== null) throw fields.refuse("name", `is not usable: it ${why}`, name);
  return name;
}

/** Only a pair's end in the workload can be given addresses: a VM sets its own. */
export function takesAddresses({ kind }: PortDevice): boolean {
  return kind === "veth";
}
