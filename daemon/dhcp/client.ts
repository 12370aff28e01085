/**
 * One DHCP client: BusyBox's udhcpc in the foreground, a child of the daemon in the managed namespace. It negotiates and
 * configures nothing: its "script" is a program of ours that passes its events on.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";

export interface ClientPlace {
  /** descriptor of the managed namespace; null: the daemon's own */
  readonly netns: number | null;
  /** directory of portwright-dhcp-launch and portwright-dhcp-hook */
  readonly programs: string;
}

export interface ClientEvents {
  /** a line of the hook's */
  readonly onLine: (line: string) => void;
  /** what it says by itself, a line at a time */
  readonly onLog: (line: string) => void;
  /** once, also if it could not be started */
  readonly onEnd: (reason: string) => void;
}

export interface DhcpClient {
  /** resolves when it has ended */
  stop(): Promise<void>;
}

/** Descriptors of the child. The launcher closes the first; udhcpc takes 3 and 4 for its signals (udhcp_sp_setup), which closes what was there. */
const NAMESPACE = 3;
const EVENTS = 5;
const STOP_LIMIT_MS = 2000;

/** s: between two requests, and between two rounds of three; ms: for a station that has the address already to object */
const PAUSE = 2;
const ROUND_PAUSE = 5;
const CONFLICT_WAIT_MS = 500;

/** `request`: the address it had, or empty */
export function startClient(device: string, request: string, place: ClientPlace, events: ClientEvents): DhcpClient {
  // The kernel ends it with the daemon, also where that is killed (PR_SET_PDEATHSIG, which exec keeps).
  const args = [
    ...[String(process.pid), place.netns === null ? "-" : String(NAMESPACE)],
    ...["/bin/busybox", "udhcpc", "-f", "-i", device, "-s", join(place.programs, "portwright-dhcp-hook")],
    ...["-V", "portwright", "-o", "-O", "subnet"],
    ...["-t", "3", "-T", String(PAUSE), "-A", String(ROUND_PAUSE), `-a${CONFLICT_WAIT_MS}`],
    ...(request === "" ? [] : ["-r", request]),
  ];
  const child = spawn(join(place.programs, "portwright-dhcp-launch"), args, {
    cwd: "/",
    env: { PATH: "/usr/sbin:/usr/bin:/sbin:/bin" },
    stdio: ["ignore", "pipe", "pipe", place.netns ?? "ignore", "ignore", "pipe"],
  });
  let ended = false;
  const end = (reason: string): void => {
    if (ended) return;
    ended = true;
    events.onEnd(reason);
  };
  const gone = new Promise<void>((resolve) => {
    child.on("error", (error) => {
      end(error.message);
      if (child.pid === undefined) resolve();
    });
    child.on("exit", (code, signal) => {
      end(signal === null ? `exit code ${code}` : `signal ${signal}`);
      resolve();
    });
  });
  lines((child.stdio as readonly (Readable | null | undefined)[])[EVENTS], events.onLine);
  lines(child.stdout, events.onLog);
  lines(child.stderr, events.onLog);
  return { stop: () => stop(child, gone) };
}

async function stop(child: ChildProcess, gone: Promise<void>): Promise<void> {
  child.kill("SIGTERM"); // without -R the lease is not given back
  const patience = setTimeout(() => child.kill("SIGKILL"), STOP_LIMIT_MS);
  await gone;
  clearTimeout(patience);
}

function lines(stream: Readable | null | undefined, each: (line: string) => void): void {
  if (!stream) return;
  stream.on("error", () => undefined); // told by the end of the process
  createInterface({ input: stream }).on("line", each);
}
