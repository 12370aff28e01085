/**
 * The daemon's log: pino, one line a record, to standard output. Under systemd each line starts with its priority in
 * the form that journald reads (sd-daemon(3): "<3>"), on a terminal it is a short readable line, elsewhere plain JSON.
 */
import { fstatSync } from "node:fs";
import pino from "pino";

export type Log = Pick<pino.Logger, "debug" | "info" | "warn" | "error" | "fatal">;

export type LogFormat = "journal" | "terminal" | "json";

export interface LogOptions {
  readonly level?: string;
  readonly format?: LogFormat;
  /** where lines go, each with its newline; default standard output */
  readonly write?: (line: string) => void;
}

export function createLog(options: LogOptions = {}): pino.Logger {
  const format = options.format ?? detectFormat(process.env, 1, process.stdout.isTTY === true);
  const destination = pino.destination({ dest: 1, sync: true });
  const write = options.write ?? ((line: string) => void destination.write(line));
  return pino(
    {
      level: options.level ?? "info",
      base: null, // journald adds pid and host name itself
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      serializers: { error: errorFields, err: errorFields },
    },
    new LineWriter(format, write) as pino.DestinationStream,
  );
}

/** An error with a code is somebody's answer, and code and message say it all; only what nobody foresaw shows its stack. */
function errorFields(error: unknown): unknown {
  if (!(error instanceof Error)) return error;
  const { name, message, stack, cause } = error;
  const own = Object.entries(error).filter(([key]) => key !== "name" && key !== "errors");
  const errors: unknown = "errors" in error ? error.errors : undefined;
  return {
    type: name,
    message,
    ...Object.fromEntries(own),
    ...("code" in error ? {} : { stack }),
    ...(Array.isArray(errors) ? { errors: errors.map(errorFields) } : {}),
    ...(cause === undefined ? {} : { cause: errorFields(cause) }),
  };
}

/**
 * JOURNAL_STREAM names the device and inode of the stream that systemd gave us; a descriptor that was redirected since
 * does not match, and then nobody reads priority prefixes (systemd.exec(5)).
 */
export function detectFormat(env: NodeJS.ProcessEnv, fd: number, isTerminal: boolean): LogFormat {
  if (isTerminal) return "terminal";
  if (!env.JOURNAL_STREAM) return "json";
  try {
    const { dev, ino } = fstatSync(fd, { bigint: true });
    return env.JOURNAL_STREAM === `${dev}:${ino}` ? "journal" : "json";
  } catch {
    return "json";
  }
}

/** pino sets `lastLevel` before each write to a destination that has this well-known symbol (pino's API, "Destinations"). */
const wantsMetadata: unique symbol = Symbol.for("pino.metadata");

/** The last words of a program, each line at the priority of an error. */
export function lastWords(text: string, format = detectFormat(process.env, 2, process.stderr.isTTY === true)): string {
  const prefix = format === "journal" ? `<${priority(50)}>` : "";
  return text
    .split("\n")
    .map((line) => `${prefix}${line}\n`)
    .join("");
}

class LineWriter {
  readonly [wantsMetadata] = true;
  lastLevel = 30;
  readonly #format: LogFormat;
  readonly #write: (line: string) => void;

  constructor(format: LogFormat, write: (line: string) => void) {
    this.#format = format;
    this.#write = write;
  }

  write(line: string): void {
    switch (this.#format) {
      case "json":
        return this.#write(line);
      case "journal":
        return this.#write(`<${priority(this.lastLevel)}>${line}`);
      case "terminal":
        return this.#write(readable(line));
    }
  }
}

/** pino's levels to those of syslog(3): fatal is "crit", trace and debug are "debug". */
function priority(level: number): number {
  if (level >= 60) return 2;
  if (level >= 50) return 3;
  if (level >= 40) return 4;
  return level >= 30 ? 6 : 7;
}

function readable(line: string): string {
  const { time, level, msg, ...rest } = JSON.parse(line) as Record<string, unknown>;
  const fields = Object.entries(rest).map(([key, value]) => `${key}=${plain(value)}`);
  const parts = [
    String(time).slice(11, 23),
    String(level).toUpperCase().padEnd(5),
    escapeControls(typeof msg === "string" ? msg : ""),
  ];
  return `${[...parts, ...fields].join(" ")}\n`;
}

function plain(value: unknown): string {
  return typeof value === "string" && /^[\w./:@-]+$/.test(value) ? value : escapeControls(JSON.stringify(value));
}

/** A name that came from outside must not move the terminal's cursor or start a line of its own. */
function escapeControls(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  return text.replace(
    /[\u0000-\u001f\u007f-\u009f\u2028\u2029]/g,
    (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}
