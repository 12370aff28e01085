/** The daemon as a child process, as systemd would run it, and what it said if it did not come up. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import type { DatapathKind } from "../model/port.ts";
import { getJson } from "../client/get-json.ts";
import { DAEMON_NODE_OPTIONS } from "../package-files.ts";

export interface DaemonPaths {
  /** dist/portwrightd.mjs */
  readonly program: string;
  readonly intent: string;
  readonly netns: string;
  readonly runDirectory: string;
  readonly stateDirectory: string;
  readonly pinRoot: string;
  readonly datapath?: DatapathKind;
}

/** for node: its options, the program and its options */
export function daemonArguments(paths: DaemonPaths): string[] {
  return [
    ...DAEMON_NODE_OPTIONS,
    paths.program,
    ...["--intent", paths.intent],
    ...["--netns", paths.netns],
    ...["--run-dir", paths.runDirectory],
    ...["--state-dir", paths.stateDirectory],
    ...["--pin-dir", paths.pinRoot],
    ...(paths.datapath === undefined ? [] : ["--datapath", paths.datapath]),
    ...["--http", "127.0.0.1:0"],
  ];
}

const START_LIMIT_MS = 20_000;
const STOP_LIMIT_MS = 10_000;

export class DaemonProcess {
  readonly #child: ChildProcess;
  #log = "";

  private constructor(child: ChildProcess) {
    this.#child = child;
    const keep = (chunk: Buffer): void => {
      this.#log = (this.#log + chunk.toString("utf8")).slice(-20_000);
    };
    child.stdout?.on("data", keep);
    child.stderr?.on("data", keep);
  }

  /** Resolves when the daemon answers that it is ready, or that it lives. */
  static async start(paths: DaemonPaths, { ready = true, limitMs = START_LIMIT_MS } = {}): Promise<DaemonProcess> {
    // A session of its own: Ctrl-C is for the demo, which ends the daemon in its turn. Where the demo is killed and cannot,
    // the kernel does (PR_SET_PDEATHSIG, which exec keeps).
    const child = spawn("setpriv", ["--pdeathsig", "TERM", process.execPath, ...daemonArguments(paths)], {
      stdio: ["ignore", "pipe", "pipe"],
      detached: true,
    });
    const self = new DaemonProcess(child);
    try {
      await self.#answers(`${paths.runDirectory}/read.sock`, ready ? "/readyz" : "/healthz", limitMs);
    } catch (error) {
      await self.stop();
      throw error;
    }
    return self;
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** the last of what it logged */
  get log(): string {
    return this.#log;
  }

  /** SIGKILL: what a crash looks like */
  async kill(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const exit = once(this.#child, "exit");
    this.#child.kill("SIGKILL");
    await exit;
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const exit = once(this.#child, "exit");
    this.#child.kill("SIGTERM");
    const patience = setTimeout(() => this.#child.kill("SIGKILL"), STOP_LIMIT_MS);
    await exit;
    clearTimeout(patience);
  }

  async #answers(socket: string, path: string, limitMs: number): Promise<void> {
    const limit = Date.now() + limitMs;
    for (;;) {
      if (this.#child.exitCode !== null) throw new Error(`the daemon ended by itself:\n${this.#log}`);
      try {
        await getJson(socket, path);
        return;
      } catch (error) {
        if (Date.now() > limit) {
          const why = `the daemon is not ready after ${limitMs / 1000} s: ${String(error)}`;
          throw new Error(`${why}\n${this.#log}`, { cause: error });
        }
      }
      await sleep(50);
    }
  }
}
