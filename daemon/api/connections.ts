/** A server's connections: how many there may be, and their end. */
import { closeSync } from "node:fs";
import { type Server, Socket } from "node:net";

interface Connection {
  destroy(): void;
}

export class Connections {
  readonly #server: Server;
  readonly #limit: number;
  readonly #open = new Set<Connection>();
  /** above the limit: they are answered, once, so that the client learns why */
  readonly #over = new WeakSet<Connection>();
  /** of those that were handed over: what was read before does not count as read by the socket */
  readonly #heard = new WeakSet<Connection>();
  #onEnd: () => void = () => {};

  constructor(server: Server, limit: number) {
    this.#server = server;
    this.#limit = limit;
    server.maxConnections = 2 * limit;
    server.on("connection", (socket: Socket) => {
      if (this.isFull) this.#over.add(socket);
      socket.once("close", this.hold(socket));
    });
  }

  get isFull(): boolean {
    return this.#open.size >= this.#limit;
  }

  isOver(socket: Socket): boolean {
    return this.#over.has(socket);
  }

  /** One that the server knows nothing of. To be called at its end: what is returned. */
  hold(connection: Connection): () => void {
    this.#open.add(connection);
    return () => {
      this.#open.delete(connection);
      if (this.#open.size === 0) this.#onEnd();
    };
  }

  /** Gives the server one that it has not accepted itself, with what was read from it already. */
  handOver(descriptor: number, first: Buffer | null): void {
    if (this.#open.size >= this.#server.maxConnections) return closeSync(descriptor);
    const socket = new Socket({ fd: descriptor, readable: true, writable: true, allowHalfOpen: true });
    if (first !== null) {
      this.#heard.add(socket);
      socket.unshift(first);
    }
    this.#server.emit("connection", socket);
  }

  /** Resolves when none is left. */
  ended(): Promise<void> {
    return new Promise((resolve) => {
      this.#onEnd = resolve;
      if (this.#open.size === 0) resolve();
    });
  }

  /** Hangs up on those who have said nothing: Node takes them for busy (node_http_parser.cc, Initialize). */
  closeSilent(): void {
    for (const connection of this.#open) {
      if (connection instanceof Socket && connection.bytesRead === 0 && !this.#heard.has(connection))
        connection.destroy();
    }
  }

  cut(): void {
    for (const connection of this.#open) connection.destroy();
  }
}
