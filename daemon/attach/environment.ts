/** The CNI_* variables of a request, checked by the rules of CNI SPEC 1.1.0, "Parameters". */
import { PortwrightError } from "../errors.ts";
import { interfaceNameFault } from "../model/names.ts";

/** Verbs for one interface of one container. */
export type PortCommand = "ADD" | "DEL" | "CHECK";

export interface PortEnvironment {
  readonly command: PortCommand;
  readonly containerId: string;
  readonly interface: string;
  /** empty if not given: only DEL may do without */
  readonly netns: string;
  /** CNI_NETNS_OVERRIDE: the host's own namespace is allowed */
  readonly allowOwnNetns: boolean;
}

/** GC and STATUS speak of a whole network, and of no container. */
export type CniEnvironment = PortEnvironment | { readonly command: "GC" | "STATUS" };

/** What each verb cannot do without. */
const NEEDED = {
  ADD: ["CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME", "CNI_PATH"],
  CHECK: ["CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME", "CNI_PATH"],
  DEL: ["CNI_CONTAINERID", "CNI_IFNAME", "CNI_PATH"],
  GC: ["CNI_PATH"],
  STATUS: ["CNI_PATH"],
} as const satisfies Record<CniEnvironment["command"], readonly string[]>;

const IDENTIFIER = /^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/;

export function isIdentifier(text: string): boolean {
  return IDENTIFIER.test(text);
}

export function parseEnvironment(env: Readonly<Record<string, string>>): CniEnvironment {
  const get = (name: string) => (Object.hasOwn(env, name) ? (env[name] ?? "") : "");
  const command = get("CNI_COMMAND");
  if (!isCommand(command)) throw refuse(`CNI_COMMAND ${JSON.stringify(command.slice(0, 40))} is not known`);

  const missing = NEEDED[command].filter((name) => get(name) === "");
  if (missing.length > 0) throw refuse(`${missing.join(", ")} ${missing.length > 1 ? "are" : "is"} missing`);
  if (command === "GC" || command === "STATUS") return { command };

  const containerId = get("CNI_CONTAINERID");
  if (!isIdentifier(containerId))
    throw refuse(
      `CNI_CONTAINERID ${quote(containerId)} must start with a letter or digit, then letters, digits, _ . -`,
    );
  const name = get("CNI_IFNAME");
  const fault = interfaceNameFault(name);
  if (fault !== null) throw refuse(`CNI_IFNAME ${quote(name)} ${fault}`);

  return {
    command,
    containerId,
    interface: name,
    netns: get("CNI_NETNS"),
    allowOwnNetns: /^(1|true)$/i.test(get("CNI_NETNS_OVERRIDE")),
  };
}

function isCommand(text: string): text is CniEnvironment["command"] {
  return Object.hasOwn(NEEDED, text);
}

/** What CNI_ARGS says that concerns us: the MAC. Unknown keys are refused unless IgnoreUnknown is set. */
export function parseArgs(text: string): { readonly mac: string } {
  let mac = "";
  let ignoreUnknown = false;
  const unknown: string[] = [];
  for (const pair of text === "" ? [] : text.split(";")) {
    const equals = pair.indexOf("=");
    if (equals <= 0) throw refuse(`CNI_ARGS has ${quote(pair)} where KEY=VALUE is expected`);
    const key = pair.slice(0, equals);
    const value = pair.slice(equals + 1);
    if (key === "MAC") mac = value;
    else if (key === "IgnoreUnknown") ignoreUnknown = parseFlag(value);
    else unknown.push(key);
  }
  if (unknown.length > 0 && !ignoreUnknown)
    throw refuse(`CNI_ARGS has the unknown ${unknown.map(quote).join(", ")}, and IgnoreUnknown=1 is not set`);
  return { mac };
}

function parseFlag(value: string): boolean {
  if (/^(1|true)$/i.test(value)) return true;
  if (/^(0|false)$/i.test(value)) return false;
  throw refuse(`IgnoreUnknown in CNI_ARGS must be 1 or 0, not ${quote(value)}`);
}

function quote(text: string): string {
  return JSON.stringify(text.slice(0, 80));
}

function refuse(message: string): PortwrightError {
  return new PortwrightError("CNI_ENVIRONMENT", message);
}
