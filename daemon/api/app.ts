/** One fastify instance as each of the three servers wants it: limits, parsers, errors, OpenAPI. Routes come from routes/. */
import type { IncomingMessage } from "node:http";
import type { Socket } from "node:net";
import type { JsonSchemaToTsProvider } from "@fastify/type-provider-json-schema-to-ts";
import swagger from "@fastify/swagger";
import fastify, { type FastifyRequest } from "fastify";
import { PortwrightError } from "../errors.ts";
import type { Log } from "../log.ts";
import { parseJson } from "../safe-json.ts";
import { readBody } from "./body.ts";
import { Connections } from "./connections.ts";
import { sendError, toPortwrightError } from "./http-errors.ts";
import type { Limits } from "./limits.ts";
import { PROTOBUF } from "./protobuf.ts";
import type { RejectReason } from "./reject.ts";
import { rejectReason } from "./reject.ts";

declare module "fastify" {
  interface FastifyContextConfig {
    /** how a protobuf body of this route is read; without it the route takes JSON only */
    readonly decodeProtobuf?: (bytes: Uint8Array) => unknown;
    /** errors in the form of a CniReply */
    readonly errorForm?: "cni";
  }
}

export interface AppOptions {
  readonly title: string;
  readonly version: string;
  readonly limits: Limits;
  readonly log: Log;
  readonly onRejected: (reason: RejectReason) => void;
  /** throws to refuse a request before its body is read */
  readonly admit?: (request: FastifyRequest) => void;
}

export async function createApp(options: AppOptions) {
  const { limits, log } = options;
  const app = fastify({
    logger: false,
    bodyLimit: limits.body,
    requestTimeout: limits.requestTimeout,
    keepAliveTimeout: 5_000,
    return503OnClosing: false, // the hook below says it in our form
    exposeHeadRoutes: false,
    routerOptions: { maxParamLength: 512 },
    ajv: { customOptions: { removeAdditional: false, coerceTypes: false, useDefaults: true, allErrors: false } },
    http: { headersTimeout: limits.headerTimeout, connectionsCheckingInterval: Math.min(1_000, limits.headerTimeout) },
    clientErrorHandler: (error, socket) => answerBrokenRequest(error, socket, options),
    frameworkErrors: (error, request, reply) => void fail(error, request, reply),
  }).withTypeProvider<JsonSchemaToTsProvider>();
  const connections = new Connections(app.server, limits.connections);

  function fail(error: unknown, request: FastifyRequest, reply: Parameters<typeof sendError>[1]) {
    const known = toPortwrightError(error);
    const fields = { method: request.method, url: request.url, code: known.code };
    if (known.status >= 500 && known.code !== "BUSY") log.error({ ...fields, error }, "request failed");
    else log.debug({ ...fields, message: known.message }, "request refused");
    const reason = rejectReason(known.code);
    if (reason !== null) options.onRejected(reason);
    return sendError(request, reply, known);
  }
  app.setErrorHandler((error, request, reply) => fail(error, request, reply));
  app.setNotFoundHandler((request, reply) =>
    fail(new PortwrightError("NOT_FOUND", `there is no ${request.method} ${request.url}`), request, reply),
  );

  app.addHook("onRequest", async (request, reply) => {
    options.admit?.(request);
    if (closing.has(app)) {
      reply.header("connection", "close");
      throw new PortwrightError("BUSY", "the daemon is stopping");
    }
    if (connections.isOver(request.raw.socket)) {
      reply.header("connection", "close");
      await readBody(request.raw, 0).catch(() => {}); // else the answer may be lost when the connection closes
      throw new PortwrightError("BUSY", `more than ${limits.connections} connections are open`);
    }
  });

  app.removeAllContentTypeParsers();
  app.addContentTypeParser("application/json", async (_request: FastifyRequest, payload: IncomingMessage) => {
    const body = await readBody(payload, limits.body);
    if (body.length === 0) throw new PortwrightError("REQUEST_INVALID", "the body is empty");
    return parseJson(body.toString("utf8"), "the body", "REQUEST_INVALID");
  });
  app.addContentTypeParser(PROTOBUF, async (request: FastifyRequest, payload: IncomingMessage) => {
    const body = await readBody(payload, limits.body);
    const decode = request.routeOptions.config.decodeProtobuf;
    if (decode === undefined) throw new PortwrightError("MEDIA_TYPE_UNSUPPORTED", "this route takes JSON only");
    return decode(body);
  });
  app.addContentTypeParser("*", async (request: FastifyRequest, payload: IncomingMessage) => {
    await readBody(payload, limits.body);
    const given = request.headers["content-type"];
    throw new PortwrightError("MEDIA_TYPE_UNSUPPORTED", given ? `"${given}" is not read here` : "no Content-Type");
  });

  await app.register(swagger, {
    openapi: { openapi: "3.1.0", info: { title: options.title, version: options.version } },
  });
  return { app, connections };
}

export type App = Awaited<ReturnType<typeof createApp>>["app"];

const closing = new WeakSet<object>();

/**
 * Takes no more connections, lets requests in flight end, then cuts what is left. Streams must have been told to end.
 * Node removes the socket's file when a server that bound it closes.
 */
export async function closeApp(app: App, connections: Connections, grace: number): Promise<void> {
  closing.add(app);
  if (app.server.listening) {
    const closed = new Promise<void>((resolve) => app.server.close(() => resolve()));
    app.server.closeIdleConnections();
    connections.closeSilent();
    const timer = setTimeout(() => connections.cut(), grace);
    await Promise.all([closed, connections.ended()]);
    clearTimeout(timer);
  }
  await app.close();
}

/** What never became a request: bad HTTP, headers too large or too slow. Node's socket is all there is to answer on. */
function answerBrokenRequest(error: Error & { code?: string }, socket: Socket, options: AppOptions): void {
  if (error.code === "ECONNRESET" || !socket.writable) {
    socket.destroy();
    return;
  }
  const known =
    error.code === "ERR_HTTP_REQUEST_TIMEOUT"
      ? new PortwrightError("REQUEST_TIMEOUT", "the request did not arrive in time")
      : error.code === "HPE_HEADER_OVERFLOW"
        ? new PortwrightError("REQUEST_TOO_LARGE", "the request's headers are too large")
        : new PortwrightError("REQUEST_INVALID", "this is not an HTTP/1.1 request");
  const reason = rejectReason(known.code);
  if (reason !== null) options.onRejected(reason);
  const body = JSON.stringify({ error: { code: known.code, message: known.message, help: known.help } });
  socket.end(
    `HTTP/1.1 ${known.status} ${known.code}\r\nconnection: close\r\ncontent-type: application/json\r\n` +
      `content-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  );
}
