/** The clients of /v1/events of one server: each with a bounded buffer, a heartbeat, and an end. */
import type { ServerResponse } from "node:http";
import { PortwrightError } from "../errors.ts";
import type { Log } from "../log.ts";
import type { Backend } from "./backend.ts";
import type { Limits } from "./limits.ts";
import { encodeEvent } from "./protobuf.ts";
import type { RejectReason } from "./reject.ts";
import { type EventView, eventView } from "./views.ts";

export type EventForm = "ndjson" | "protobuf";

export interface EventStreamsOptions {
  readonly limits: Pick<Limits, "streams" | "streamBuffer" | "heartbeat">;
  readonly log: Log;
  readonly onRejected: (reason: RejectReason) => void;
}

export class EventStreams {
  readonly #backend: Pick<Backend, "subscribe">;
  readonly #options: EventStreamsOptions;
  readonly #open = new Set<ServerResponse>();

  constructor(backend: Pick<Backend, "subscribe">, options: EventStreamsOptions) {
    this.#backend = backend;
    this.#options = options;
  }

  get size(): number {
    return this.#open.size;
  }

  assertRoom(): void {
    const { streams } = this.#options.limits;
    if (this.#open.size >= streams) throw new PortwrightError("BUSY", `${streams} event streams are open`);
  }

  /** Takes over a response whose head was not sent yet. The first message is a heartbeat: from it on nothing is missed. */
  add(response: ServerResponse, form: EventForm, contentType: string): void {
    const { heartbeat } = this.#options.limits;
    const send = (view: EventView) => this.#send(response, form === "protobuf" ? encodeEvent(view) : line(view));
    const beat = () => send({ type: "heartbeat", time: new Date().toISOString() });

    this.#open.add(response);
    const unsubscribe = this.#backend.subscribe((event) => send(eventView(event)));
    const timer = setInterval(beat, heartbeat);
    response.once("close", () => {
      clearInterval(timer);
      unsubscribe();
      this.#open.delete(response);
    });
    response.on("error", () => response.destroy());
    response.writeHead(200, { "content-type": contentType, "cache-control": "no-store", connection: "close" });
    beat();
  }

  /** Ends every stream in order; a client that does not take the rest is cut with its connection. */
  close(): void {
    for (const response of this.#open) response.end();
  }

  #send(response: ServerResponse, message: Buffer | string): void {
    if (response.destroyed || response.writableEnded) return;
    response.write(message);
    const waiting = response.writableLength + (response.socket?.writableLength ?? 0);
    if (waiting <= this.#options.limits.streamBuffer) return;
    this.#options.log.warn({ waiting }, "event stream cut: its reader is too slow");
    this.#options.onRejected("slow_reader");
    response.destroy();
  }
}

function line(view: EventView): string {
  return `${JSON.stringify(view)}\n`;
}
