/**
 * The CNI plugin's calls without the HTTP server around them and without a connection of Node's: each takes JavaScript's
 * thread some tenths of a millisecond, of a call that takes two to seven in all. What comes in the very words of
 * native/shim/client.c, in one piece, well-formed, from a peer who may, and finds room is answered here: on a healthy host
 * that is nearly each of them. Whatever differs goes to the HTTP server just as it came, so that there is one place that
 * waits, doubts and refuses.
 */
import { closeSync, writeSync } from "node:fs";
import { type Server, Socket } from "node:net";
import type { CniReply, CniRequest } from "../attach/cni-request.ts";
import type { Kernel } from "../kernel/kernel.ts";
import type { Log } from "../log.ts";
import { isObject, parseJson } from "../safe-json.ts";
import { codeOf } from "../thrown.ts";
import { descriptorOf } from "./access.ts";
import { cniErrorReply } from "./cni-error.ts";
import type { Connections } from "./connections.ts";
import type { Gate } from "./gate.ts";
import { toPortwrightError } from "./http-errors.ts";
import type { Limits } from "./limits.ts";
import { cniRequestSchema } from "./schemas/attachment.ts";

const HEAD =
  /^POST \/cni HTTP\/1\.1\r\nHost: portwright\r\nContent-Type: application\/json\r\nContent-Length: (\d{1,9})\r\nConnection: close\r\n\r\n/;
const LONGEST_HEAD = 160;

export interface PluginCallsOptions {
  readonly answer: (request: CniRequest) => Promise<CniReply>;
  readonly kernel: Pick<Kernel, "acceptCalls">;
  readonly gate: Gate;
  /** `connection` is a descriptor */
  readonly mayCall: (connection: number) => boolean;
  readonly limits: Pick<Limits, "body">;
  readonly log: Log;
}

export class PluginCalls {
  readonly #options: PluginCallsOptions;
  #acceptor: { close(): void } | null = null;

  constructor(options: PluginCallsOptions) {
    this.#options = options;
  }

  /** Takes the connections that `server`, which listens on a unix socket, would take. */
  start(server: Server, connections: Connections): void {
    const { kernel, mayCall } = this.#options;
    const listening = descriptorOf(server);
    if (listening === null) throw new TypeError("the server does not listen");
    this.#acceptor = kernel.acceptCalls(listening, (connection, first) => {
      const request = first && !connections.isFull && mayCall(connection) ? this.#requestOf(first) : null;
      if (request === null) connections.handOver(connection, first);
      else void this.#call(new OpenCall(connection, connections), request);
    });
  }

  /** Takes no more. Calls that are being answered are among the connections. */
  stop(): void {
    this.#acceptor?.close();
  }

  /** null: not for us */
  #requestOf(bytes: Buffer): CniRequest | null {
    const { gate, limits } = this.#options;
    const head = HEAD.exec(bytes.toString("latin1", 0, LONGEST_HEAD));
    if (head === null || gate.isFull) return null;
    const length = Number(head[1]);
    if (length > limits.body || bytes.length !== head[0].length + length) return null;
    try {
      const value = parseJson(bytes.toString("utf8", head[0].length), "the body", "REQUEST_INVALID");
      return isCniRequest(value) ? value : null;
    } catch {
      return null;
    }
  }

  async #call(call: OpenCall, request: CniRequest): Promise<void> {
    const { gate, answer, log } = this.#options;
    let status = "200 OK";
    let reply: CniReply;
    try {
      reply = await gate.run(() => answer(request));
    } catch (cause) {
      const error = toPortwrightError(cause);
      log.error({ method: "POST", url: "/cni", code: error.code, error: cause }, "request failed");
      status = `${error.status} ${error.code}`;
      reply = cniErrorReply(error, request);
    }
    const text = JSON.stringify(reply);
    call.end(
      `HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Type: application/json; charset=utf-8\r\n` +
        `Content-Length: ${Buffer.byteLength(text)}\r\n\r\n${text}`,
    );
  }
}

/** A connection by its descriptor, until it is answered or cut. */
class OpenCall {
  readonly #descriptor: number;
  readonly #release: () => void;
  #isOpen = true;
  /** has what did not fit into the socket's buffer, and the descriptor */
  #rest: Socket | null = null;

  constructor(descriptor: number, connections: Connections) {
    this.#descriptor = descriptor;
    this.#release = connections.hold(this);
  }

  destroy(): void {
    this.#rest?.destroy();
    if (!this.#isOpen) return;
    this.#isOpen = false;
    closeSync(this.#descriptor);
    this.#release();
  }

  end(text: string): void {
    if (!this.#isOpen) return;
    const bytes = Buffer.from(text);
    const written = this.#write(bytes);
    if (written === bytes.length) return this.destroy();
    this.#isOpen = false;
    this.#rest = new Socket({ fd: this.#descriptor, writable: true });
    this.#rest.on("error", () => {}).once("close", this.#release);
    this.#rest.end(bytes.subarray(written));
  }

  /** Who has left early has no use for an answer: to him all is written. */
  #write(bytes: Buffer): number {
    try {
      return writeSync(this.#descriptor, bytes);
    } catch (error) {
      return codeOf(error) === "EAGAIN" ? 0 : bytes.length;
    }
  }
}

/** As the schema of the route has it; what is in doubt is for the route to say. */
function isCniRequest(value: unknown): value is CniRequest {
  if (!isObject(value) || typeof value.stdin !== "string" || !isObject(value.env)) return false;
  if (Object.keys(value).length !== 2) return false;
  const variables = Object.entries(value.env);
  return (
    variables.length <= cniRequestSchema.properties.env.maxProperties &&
    variables.every(([name, text]) => name.startsWith("CNI_") && typeof text === "string")
  );
}
