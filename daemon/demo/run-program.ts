/**
 * Runs a program of the demo's to its end, in a session of its own: the terminal's Ctrl-C is for the demo, which ends what
 * it began in order, and would otherwise reach a plugin in the middle of a DEL.
 */
import { spawn } from "node:child_process";

export interface ProgramResult {
  /** exit code, or the name of the signal that ended it */
  readonly ended: number | NodeJS.Signals;
  readonly stdout: string;
  readonly stderr: string;
}

export interface ProgramOptions {
  /** the whole environment; without it the demo's own */
  readonly env?: Readonly<Record<string, string>>;
  /** for its standard input */
  readonly input?: string;
  readonly timeoutMs: number;
}

/** Rejects only if the program cannot be run at all. */
export function runProgram(command: string, args: readonly string[], options: ProgramOptions): Promise<ProgramResult> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      detached: true,
      timeout: options.timeoutMs,
      ...(options.env ? { env: options.env } : {}),
    });
    const output = { stdout: "", stderr: "" };
    child.stdout.setEncoding("utf8").on("data", (text: string) => (output.stdout += text));
    child.stderr.setEncoding("utf8").on("data", (text: string) => (output.stderr += text));
    child.on("error", (error) => reject(new Error(`cannot run ${command}: ${error.message}`, { cause: error })));
    child.on("close", (code, signal) => {
      // A Ctrl-C between fork and setsid ends the child before it becomes the program: nothing was done yet.
      if (signal === "SIGINT") resolve(runProgram(command, args, options));
      else resolve({ ended: signal ?? code ?? 0, ...output });
    });
    child.stdin.on("error", () => undefined); // EPIPE: it ended before it read, and its exit code says why
    child.stdin.end(options.input ?? "");
  });
}
