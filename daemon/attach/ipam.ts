/**
 * Addresses from the IPAM plugins that are installed: found in CNI_PATH, run with the request's environment and its
 * whole stdin (CNI SPEC 1.1.0, section 4). No shell is involved.
 */
import { statSync } from "node:fs";
import { constants } from "node:os";
import { join } from "node:path";
import { PortwrightError } from "../errors.ts";
import { isKernelError } from "../kernel/kernel-error.ts";
import type { Kernel } from "../kernel/kernel.ts";
import type { ProgramCall, ProgramEnd } from "../kernel/program.ts";
import { isObject } from "../safe-json.ts";
import { messageOf } from "../thrown.ts";
import { Fields, parseJsonObject } from "./decode.ts";
import type { Addressed } from "./gateways.ts";
import { Limiter } from "../async/limiter.ts";
import { type CniResult, parseResult } from "./result.ts";

export interface IpamCall {
  readonly type: string;
  readonly env: Readonly<Record<string, string>>;
  readonly stdin: string;
  /** what `find` found; absent: it is looked for */
  readonly file?: string;
  /** gets what the plugin writes there */
  readonly stderr: (text: string) => void;
}

/** What the plugin itself refused: goes to the runtime with the plugin's code and words. */
export class IpamError extends PortwrightError {
  readonly #pluginCode: number;
  readonly details: string;

  constructor(pluginCode: number, message: string, details: string) {
    super("IPAM_FAILED", message);
    this.#pluginCode = pluginCode;
    this.details = details;
  }

  override get cniCode(): number {
    return this.#pluginCode;
  }
}

/** What the rest of the room uses of it. */
export type Addresses = Pick<Ipam, "find" | "add" | "del" | "check" | "gc" | "status" | "versions">;

/** What a plugin gave, which counts only when `confirmed` resolves. */
export interface Offer {
  readonly result: Addressed;
  /** The plugin tells by its exit code that it meant it; host-local ends some 0.5 ms after its result. */
  readonly confirmed: Promise<void>;
}

export interface IpamOptions {
  /** plugins that run at once: each takes a thread of libuv's pool of four, and the disk needs one */
  readonly concurrency?: number;
  /** ms; below the 60 s after which the plugin executable gives up */
  readonly timeout?: number;
}

const MAX_OUTPUT = 1 << 20;
const ANY_EXECUTE = 0o111;

export class Ipam {
  readonly #kernel: Pick<Kernel, "runProgram">;
  readonly #limiter: Limiter;
  readonly #timeout: number;

  constructor(kernel: Pick<Kernel, "runProgram">, options: IpamOptions = {}) {
    this.#kernel = kernel;
    this.#limiter = new Limiter(options.concurrency ?? 3);
    this.#timeout = options.timeout ?? 30_000;
  }

  /** Refuses a plugin that is not installed, before anything is made that it would have to give an address to. */
  find({ type, env }: Pick<IpamCall, "type" | "env">): string {
    return findPlugin(type, env.CNI_PATH ?? "");
  }

  /** Resolves as soon as the whole result is written. */
  add(call: IpamCall): Promise<Offer> {
    return new Promise((resolve, reject) => {
      let told: string | null = null;
      const onOutput = (stdout: string): void => {
        const result = told === null ? wholeResult(stdout, call.type) : null;
        if (result === null) return;
        told = stdout;
        resolve({ result, confirmed });
      };
      const end = async (): Promise<void> => {
        const stdout = await this.#run(call, "ADD", onOutput);
        if (told === null) resolve({ result: resultOf(stdout, call.type), confirmed: Promise.resolve() });
        else if (stdout.trim() !== told.trim())
          throw new PortwrightError("IPAM_FAILED", `IPAM plugin ${call.type} wrote more after its result`);
      };
      const confirmed = end();
      confirmed.catch(reject); // too late for the promise, if the result was told: then it is for who awaits it
    });
  }

  async del(call: IpamCall): Promise<void> {
    await this.#run(call, "DEL");
  }

  async check(call: IpamCall): Promise<void> {
    await this.#run(call, "CHECK");
  }

  async gc(call: IpamCall): Promise<void> {
    await this.#run(call, "GC");
  }

  async status(call: IpamCall): Promise<void> {
    await this.#run(call, "STATUS");
  }

  /** cniVersions that it supports, as it says itself */
  async versions(call: IpamCall): Promise<readonly string[]> {
    const what = `the VERSION answer of IPAM plugin ${call.type}`;
    const answer = parseJsonObject(await this.#run(call, "VERSION"), what, "IPAM_FAILED");
    return new Fields(answer, what, "IPAM_FAILED").strings("supportedVersions") ?? [];
  }

  #run(call: IpamCall, command: string, onOutput?: (stdout: string) => void): Promise<string> {
    return this.#limiter.run(async () => {
      const file = call.file ?? this.find(call);
      const env = { PATH: process.env.PATH ?? "/usr/sbin:/usr/bin:/sbin:/bin", ...call.env, CNI_COMMAND: command };
      return await this.#execute({ file, env, ...(onOutput && { onOutput }) }, call);
    });
  }

  async #execute(program: Pick<ProgramCall, "file" | "env" | "onOutput">, call: IpamCall): Promise<string> {
    let end: ProgramEnd;
    try {
      const timeout = this.#timeout;
      end = await this.#kernel.runProgram({ ...program, stdin: call.stdin, timeout, maxOutput: MAX_OUTPUT });
    } catch (cause) {
      const why = isKernelError(cause) ? cause.code : messageOf(cause);
      throw new PortwrightError("IPAM_FAILED", `IPAM plugin ${call.type} cannot be run: ${why}`, { cause });
    }
    if (end.stderr !== "") call.stderr(end.stderr);
    if (end.cut === "" && end.exitCode === 0) return end.stdout;
    throw pluginError(end, call.type, this.#timeout);
  }
}

/** null: it is not whole yet, or is none, which is told when the plugin has ended. */
function wholeResult(stdout: string, type: string): CniResult | null {
  try {
    return resultOf(stdout, type);
  } catch {
    return null;
  }
}

function resultOf(stdout: string, type: string): CniResult {
  const what = `the result of IPAM plugin ${type}`;
  const result = parseResult(new Fields(parseJsonObject(stdout, what, "IPAM_FAILED"), what, "IPAM_FAILED"));
  if (result.ips.length === 0) throw new PortwrightError("IPAM_FAILED", `${what} has no address`);
  return result;
}

function findPlugin(type: string, path: string): string {
  const directories = path.split(":").filter((directory) => directory.startsWith("/"));
  // A separator would lead out of CNI_PATH.
  if (!type.includes("/")) {
    for (const directory of directories) {
      const file = join(directory, type);
      try {
        const found = statSync(file);
        if (found.isFile() && (found.mode & ANY_EXECUTE) !== 0) return file;
      } catch {
        // the next directory
      }
    }
  }
  throw new PortwrightError(
    "IPAM_FAILED",
    `no IPAM plugin ${JSON.stringify(type)} in CNI_PATH ${directories.join(":")}`,
  );
}

function pluginError({ stdout, cut, signal, exitCode }: ProgramEnd, type: string, timeout: number): PortwrightError {
  const told = tryParse(stdout);
  if (told !== null) return told;
  const why =
    cut === "output"
      ? "wrote more than 1 MiB"
      : cut === "timeout"
        ? `did not end within ${timeout / 1000} s`
        : `ended with ${signal > 0 ? `signal ${signalName(signal)}` : `exit code ${exitCode}`} and no error text`;
  return new PortwrightError("IPAM_FAILED", `IPAM plugin ${type} ${why}`);
}

function signalName(signal: number): string {
  return Object.entries(constants.signals).find(([, number]) => number === signal)?.[0] ?? `${signal}`;
}

function tryParse(stdout: string): IpamError | null {
  try {
    const value: unknown = JSON.parse(stdout);
    if (!isObject(value) || typeof value.code !== "number" || !Number.isInteger(value.code)) return null;
    const text = (field: unknown) => (typeof field === "string" ? field : "");
    return new IpamError(value.code, text(value.msg), text(value.details));
  } catch {
    return null;
  }
}
