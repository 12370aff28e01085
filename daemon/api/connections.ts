/** A server's connections: how many there may be, and their end. */
import type { Server, Socket } from "node:net";

export class Connections {
  readonly #open = new Set<Socket>();
  /** above the limit: they are answered, once, so that the client learns why */
  readonly #over = new WeakSet<Socket>();

  constructor(server: Server, limit: number) {
    server.maxConnections = 2 * limit;
    server.on("connection", (socket: Socket) => {
      this.#open.add(socket);
      if (this.#open.size > limit) this.#over.add(socket);
      socket.once("close", () => this.#open.delete(socket));
    });
  }

  isOver(socket: Socket): boolean {
    return this.#over.has(socket);
  }

  cut(): void {
    for (const socket of this.#open) socket.destroy();
  }
}
