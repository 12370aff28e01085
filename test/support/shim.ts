/** The CNI plugin executable in tests: built with paths of its own, run as a runtime would, with servers to meet. */
import { execFileSync, spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import http from "node:http";
import type net from "node:net";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import test, { type ExecutionContext } from "ava";

const builder = join(import.meta.dirname, "../../scripts/build-shim.mjs");

/** Everything that a test file makes lies in here; the paths that are compiled in, too. */
export const base = mkdtempSync(join(tmpdir(), `pw-shim-${process.pid}-`));
export const socketFile = join(base, "etc/cni-socket");
export const defaultSocket = join(base, "default.sock");
export const defaultState = join(base, "state");
const shim = join(base, "portwright");

/** To be called once by each file that runs the shim: builds it before the tests and clears up after them. */
export function useShim(): void {
  test.before(() => {
    const define = (name: string, value: string) => `-D${name}="${value}"`;
    compileShim(
      "portwright",
      define("PW_SOCKET_FILE", socketFile),
      define("PW_SOCKET", defaultSocket),
      define("PW_STATE_DIR", defaultState),
    );
  });
  test.after.always(() => rmSync(base, { recursive: true, force: true }));
}

export function compileShim(name: string, ...options: readonly string[]): string {
  const program = join(base, name);
  execFileSync(process.execPath, [builder, program, ...options], { stdio: "inherit" });
  return program;
}

interface Outcome {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export function run(
  command: string | undefined,
  stdin: string | Buffer,
  env: Record<string, string | undefined> = {},
  program = shim,
): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    const all = { CNI_COMMAND: command, CNI_CONTAINERID: "c1", CNI_IFNAME: "eth0", CNI_PATH: "/usr/lib/cni", ...env };
    const child = spawn(program, [], { env: all, stdio: "pipe" });
    let stdout = "";
    let stderr = "";
    child.stdout.setEncoding("utf8").on("data", (text) => (stdout += text));
    child.stderr.setEncoding("utf8").on("data", (text) => (stderr += text));
    child.stdin.on("error", () => {});
    child.on("error", reject);
    child.on("close", (code) => resolve({ code, stdout, stderr }));
    child.stdin.end(stdin);
  });
}

let counter = 0;
export function freshSocket(): string {
  return join(base, `s${counter++}.sock`);
}

interface Seen {
  readonly method: string | undefined;
  readonly url: string | undefined;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: string;
}

type Answer = (request: Seen, response: http.ServerResponse) => void;

export async function serve(t: ExecutionContext, path: string, answer: Answer): Promise<Seen[]> {
  const seen: Seen[] = [];
  const server = http.createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk) => chunks.push(chunk));
    request.on("end", () => {
      const one = {
        method: request.method,
        url: request.url,
        headers: request.headers,
        body: Buffer.concat(chunks).toString(),
      };
      seen.push(one);
      answer(one, response);
    });
  });
  await listen(t, server, path);
  return seen;
}

export async function listen(t: ExecutionContext, server: net.Server, path: string): Promise<void> {
  await new Promise<void>((resolve) => server.listen(path, resolve));
  t.teardown(() => void server.close());
}

/** Answers each connection with these bytes as soon as the request is in, then closes, if asked to. */
export async function serveRaw(
  t: ExecutionContext,
  path: string,
  pieces: readonly (string | Buffer)[],
  close = true,
): Promise<void> {
  const server = createServer((socket) => {
    t.teardown(() => socket.destroy());
    socket.on("error", () => {});
    const send = async (): Promise<void> => {
      for (const piece of pieces) {
        socket.write(piece);
        await sleep(20);
      }
      if (close) socket.end();
    };
    socket.once("data", () => void send());
  });
  await listen(t, server, path);
}

export function json(reply: object): Answer {
  return (_, response) => {
    const text = JSON.stringify(reply);
    response
      .writeHead(200, { "content-type": "application/json", "content-length": Buffer.byteLength(text) })
      .end(text);
  };
}

export const conf = (socket: string, more: object = {}) =>
  JSON.stringify({ cniVersion: "1.0.0", name: "n", type: "portwright", portwrightSocket: socket, ...more });

/** The file that names the socket, its directory made. */
export function socketFileDir(): string {
  mkdirSync(join(base, "etc"), { recursive: true });
  return socketFile;
}
