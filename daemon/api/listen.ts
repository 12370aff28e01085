/**
 * Binding servers: unix sockets with their mode from the first moment, sockets left behind by a daemon that was killed,
 * sockets passed by systemd, and the loopback TCP port.
 */
import { fstatSync, lstatSync, unlinkSync } from "node:fs";
import { type AddressInfo, connect, type Server } from "node:net";
import path from "node:path";
import { PortwrightError } from "../errors.ts";
import { codeOf } from "../thrown.ts";

/** sizeof(sockaddr_un.sun_path) less its final NUL (linux/un.h); Node cuts longer paths off without a word. */
const MAX_SOCKET_PATH = 107;

export async function listenOnPath(server: Server, socketPath: string, mode: 0o600 | 0o660): Promise<string> {
  if (Buffer.byteLength(socketPath) > MAX_SOCKET_PATH) {
    throw new PortwrightError(
      "SOCKET_PATH_TOO_LONG",
      `the socket path ${socketPath} has ${Buffer.byteLength(socketPath)} bytes, more than ${MAX_SOCKET_PATH}`,
    );
  }
  await removeStaleSocket(socketPath);
  // bind(2) makes the file with mode 0777 less the umask; Node binds inside listen(), so the umask is ours only so long.
  const umask = process.umask(0o777 & ~mode);
  try {
    server.listen({ path: socketPath });
  } finally {
    process.umask(umask);
  }
  try {
    await listening(server);
  } catch (error) {
    throw codeOf(error) === "EADDRINUSE" ? inUse(socketPath) : error;
  }
  return socketPath;
}

/** A unix or TCP socket that systemd made and bound (sd_listen_fds(3)). fastify's own listen() fails on these. */
export async function listenOnDescriptor(server: Server, fd: number): Promise<string> {
  if (!fstatSync(fd).isSocket()) throw new PortwrightError("INTERNAL", `descriptor ${fd} from systemd is not a socket`);
  server.listen({ fd });
  await listening(server);
  const address = server.address();
  if (address !== null && typeof address === "object" && "port" in address) return urlOf(address);
  return typeof address === "string" ? address : `fd:${fd}`;
}

export async function listenOnPort(server: Server, host: string, port: number): Promise<string> {
  server.listen({ host, port, exclusive: true });
  try {
    await listening(server);
  } catch (error) {
    const where = host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
    if (codeOf(error) === "EADDRINUSE") throw new PortwrightError("PORT_IN_USE", `something else listens on ${where}`);
    if (codeOf(error) === "EACCES") throw new PortwrightError("PORT_IN_USE", `this user may not listen on ${where}`);
    throw error;
  }
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("a TCP server has no TCP address");
  return urlOf(address);
}

function urlOf({ family, address, port }: AddressInfo): string {
  return family === "IPv6" ? `http://[${address}]:${port}` : `http://${address}:${port}`;
}

/** After a kill -9 the file stays and bind(2) fails. Only a socket of ours that nobody answers on is removed. */
async function removeStaleSocket(socketPath: string): Promise<void> {
  const stats = lstatSync(socketPath, { throwIfNoEntry: false });
  if (stats === undefined) return;
  if (!stats.isSocket()) {
    throw new PortwrightError("SOCKET_IN_USE", `${socketPath} exists and is not a socket; it was left untouched`);
  }
  if (stats.uid !== process.geteuid?.()) {
    throw new PortwrightError("SOCKET_IN_USE", `${socketPath} belongs to uid ${stats.uid}; it was left untouched`);
  }
  if (await answers(socketPath)) throw inUse(socketPath);
  const now = lstatSync(socketPath, { throwIfNoEntry: false });
  if (now !== undefined && now.ino === stats.ino) unlinkSync(socketPath);
}

/** Anything but a clear refusal (a full backlog, for one) counts as an answer. */
function answers(socketPath: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ path: socketPath });
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", (error) => resolve(codeOf(error) !== "ECONNREFUSED" && codeOf(error) !== "ENOENT"));
  });
}

function listening(server: Server): Promise<void> {
  return new Promise((resolve, reject) => {
    const onError = (error: Error) => {
      server.off("listening", onListening);
      reject(error);
    };
    const onListening = () => {
      server.off("error", onError);
      resolve();
    };
    server.once("error", onError);
    server.once("listening", onListening);
  });
}

function inUse(socketPath: string): PortwrightError {
  return new PortwrightError("SOCKET_IN_USE", `another daemon answers on ${path.resolve(socketPath)}`);
}
