/** The daemon's command line. Pure: arguments in, settings or a clear sentence out. */
import { hostname } from "node:os";
import { parseArgs } from "node:util";
import type { DatapathKind } from "./model/port.ts";
import { messageOf } from "./thrown.ts";

export interface Settings {
  /** files and directories of intent, read in this order */
  readonly intent: readonly string[];
  /** network namespace to manage; null: the one that the daemon runs in */
  readonly netns: string | null;
  /** who switches: eBPF, or the kernel's bridge with VLAN filtering */
  readonly datapath: DatapathKind;
  readonly runDirectory: string;
  readonly stateDirectory: string;
  readonly pinRoot: string;
  /** null: no HTTP listener */
  readonly http: { readonly host: string; readonly port: number } | null;
  readonly nodeName: string;
  /** what node selectors see besides the name */
  readonly nodeLabels: Readonly<Record<string, string>>;
  readonly logLevel: string;
}

export const HELP = `portwrightd: owns the layer-2 networks of this host

usage: portwrightd [options]

  --intent PATH       file or directory of YAML; may be given several times   (/etc/portwright)
  --netns PATH        network namespace to manage                             (the daemon's own)
  --datapath KIND     ebpf, or bridge: the kernel's, with VLAN filtering      (ebpf)
  --run-dir DIR       sockets                                                 (/run/portwright)
  --state-dir DIR     records of attachments, the last good intent            (/var/lib/portwright)
  --pin-dir DIR       pinned maps and programs, on a bpffs                    (/sys/fs/bpf/portwright)
  --http ADDRESS      loopback address for metrics, health, debug; or "off"   (127.0.0.1:9469)
  --node-name NAME    this host's name in node selectors                      (the host name)
  --node-label K=V    label of this host for node selectors; may be given several times
  --log-level LEVEL   trace, debug, info, warn or error                       (info)
  --version, --help

The daemon applies its intent again on SIGHUP, and ends on SIGTERM or SIGINT; the switch goes on without it.
`;

const LOG_LEVELS = ["trace", "debug", "info", "warn", "error"];

export class UsageError extends Error {
  override readonly name = "UsageError";
}

export function parseSettings(argv: readonly string[]): Settings | "help" | "version" {
  const values = parse(argv);
  if (values.help) return "help";
  if (values.version) return "version";
  const logLevel = values["log-level"];
  if (!LOG_LEVELS.includes(logLevel))
    throw new UsageError(`--log-level ${logLevel}: use one of ${LOG_LEVELS.join(", ")}`);
  for (const name of ["run-dir", "state-dir", "pin-dir"] as const) {
    if (!values[name].startsWith("/")) throw new UsageError(`--${name} ${values[name]}: give an absolute path`);
  }
  const { datapath } = values;
  if (datapath !== "ebpf" && datapath !== "bridge") throw new UsageError(`--datapath ${datapath}: use ebpf or bridge`);
  const http = values.http === "off" ? null : parseListenAddress(values.http);
  if (http === undefined) throw new UsageError(`--http ${values.http}: give HOST:PORT on the loopback, or "off"`);
  return {
    intent: values.intent ?? ["/etc/portwright"],
    netns: values.netns ?? null,
    datapath,
    runDirectory: values["run-dir"],
    stateDirectory: values["state-dir"],
    pinRoot: values["pin-dir"],
    http,
    nodeName: values["node-name"] ?? hostname(),
    nodeLabels: parseLabels(values["node-label"] ?? []),
    logLevel,
  };
}

function parseLabels(texts: readonly string[]): Readonly<Record<string, string>> {
  return Object.fromEntries(
    texts.map((text) => {
      const at = text.indexOf("=");
      if (at <= 0) throw new UsageError(`--node-label ${text}: give KEY=VALUE`);
      return [text.slice(0, at), text.slice(at + 1)];
    }),
  );
}

/** "127.0.0.1:9469", "[::1]:0", "localhost:9469"; that it is the loopback is for the listener to check */
function parseListenAddress(text: string): { host: string; port: number } | undefined {
  const match = /^(?:\[([0-9a-f:]+)\]|([^:[\]]+)):(\d{1,5})$/i.exec(text);
  const port = Number(match?.[3]);
  const host = match?.[1] ?? match?.[2];
  return host === undefined || port > 65535 ? undefined : { host, port };
}

function parse(argv: readonly string[]) {
  try {
    return parseArgs({
      args: [...argv],
      strict: true,
      allowPositionals: false,
      options: {
        intent: { type: "string", multiple: true },
        netns: { type: "string" },
        datapath: { type: "string", default: "ebpf" },
        "run-dir": { type: "string", default: "/run/portwright" },
        "state-dir": { type: "string", default: "/var/lib/portwright" },
        "pin-dir": { type: "string", default: "/sys/fs/bpf/portwright" },
        http: { type: "string", default: "127.0.0.1:9469" },
        "node-name": { type: "string" },
        "node-label": { type: "string", multiple: true },
        "log-level": { type: "string", default: "info" },
        version: { type: "boolean", default: false },
        help: { type: "boolean", default: false },
      },
    }).values;
  } catch (error) {
    throw new UsageError(messageOf(error));
  }
}
