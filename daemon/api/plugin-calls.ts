/**
 * The CNI plugin's calls without the HTTP server around them, which takes longer than most of them do. What comes in the
 * very words of native/shim/client.c, in one piece, well-formed, from a peer who may, and finds room is answered here:
 * on a healthy host that is each of them. Whatever differs goes to the HTTP server just as it came, so that there is one
 * place that waits, doubts and refuses.
 */
import type { Server, Socket } from "node:net";
import type { CniReply, CniRequest } from "../attach/cni-request.ts";
import type { Log } from "../log.ts";
import { isObject, parseJson } from "../safe-json.ts";
import { cniErrorReply } from "./cni-error.ts";
import type { Gate } from "./gate.ts";
import { toPortwrightError } from "./http-errors.ts";
import type { Limits } from "./limits.ts";
import { cniRequestSchema } from "./schemas/attachment.ts";

const HEAD =
  /^POST \/cni HTTP\/1\.1\r\nHost: portwright\r\nContent-Type: application\/json\r\nContent-Length: (\d{1,9})\r\nConnection: close\r\n\r\n/;
const LONGEST_HEAD = 160;

export interface PluginCallsOptions {
  readonly answer: (request: CniRequest) => Promise<CniReply>;
  readonly gate: Gate;
  readonly mayCall: (socket: Socket) => boolean;
  readonly limits: Pick<Limits, "body" | "headerTimeout">;
  readonly log: Log;
}

export class PluginCalls {
  readonly #options: PluginCallsOptions;
  /** connections that have said nothing yet */
  readonly #silent = new Set<Socket>();

  constructor(options: PluginCallsOptions) {
    this.#options = options;
  }

  /** Goes in front of the listeners for connections that `server` has now. `hasRoom` is asked when a request is there. */
  attach(server: Server, hasRoom: (socket: Socket) => boolean): void {
    const others = server.listeners("connection");
    server.removeAllListeners("connection");
    server.on("connection", (socket: Socket) => {
      this.#silent.add(socket);
      const begin = (): void => {
        clearTimeout(patience);
        this.#silent.delete(socket);
        socket.off("data", see);
      };
      const handOver = (): void => {
        begin();
        socket.off("error", ignore);
        for (const listener of others) listener.call(server, socket);
      };
      const see = (first: Buffer): void => {
        begin();
        const request = this.#options.mayCall(socket) && hasRoom(socket) ? this.#requestOf(first) : null;
        if (request === null) {
          socket.unshift(first);
          return handOver();
        }
        socket.resume(); // else nobody would see that the plugin has left
        void this.#call(socket, request);
      };
      const patience = setTimeout(handOver, this.#options.limits.headerTimeout);
      socket.on("error", ignore);
      socket.on("data", see);
      socket.once("close", begin);
    });
  }

  /** Hangs up on those who have said nothing: the server's own closeIdleConnections() does not know of them. */
  closeIdle(): void {
    for (const socket of this.#silent) socket.destroy();
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

  async #call(socket: Socket, request: CniRequest): Promise<void> {
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
    socket.end(
      `HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Type: application/json; charset=utf-8\r\n` +
        `Content-Length: ${Buffer.byteLength(text)}\r\n\r\n${text}`,
    );
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

/** Who leaves early has no use for an answer. */
function ignore(): void {}
