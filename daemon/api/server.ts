/**
 * The API's four servers, each with a surface of its own: the attach socket and the admin socket for root, the reading
 * socket for the daemon's group, and HTTP on loopback for metrics and debugging.
 */
import path from "node:path";
import { PortwrightError } from "../errors.ts";
import type { Kernel } from "../kernel/kernel.ts";
import type { Log } from "../log.ts";
import { PeerGuard, type PeerKernel } from "./access.ts";
import { passedSockets } from "./activation.ts";
import { type App, type AppOptions, closeApp, createApp } from "./app.ts";
import type { Backend } from "./backend.ts";
import type { Connections } from "./connections.ts";
import { EventStreams } from "./event-stream.ts";
import { Gate } from "./gate.ts";
import { adminLimits, attachLimits, type Limits, readLimits } from "./limits.ts";
import { listenOnDescriptor, listenOnPath, listenOnPort } from "./listen.ts";
import { isLoopbackHost, loopbackAddress } from "./loopback.ts";
import { PluginCalls } from "./plugin-calls.ts";
import type { RejectReason } from "./reject.ts";
import { adminRoutes } from "./routes/admin.ts";
import { attachmentListRoute, attachRoutes } from "./routes/attachments.ts";
import { cniRoute } from "./routes/cni.ts";
import { debugRoutes } from "./routes/debug.ts";
import { eventsRoute } from "./routes/events.ts";
import { healthRoutes, metricsRoute, openApiRoute } from "./routes/health.ts";
import { readRoutes } from "./routes/read.ts";
import { prepareRunDirectory } from "./run-directory.ts";

export interface ApiOptions {
  readonly backend: Backend;
  readonly kernel: PeerKernel & Pick<Kernel, "acceptCalls">;
  readonly runDirectory: string;
  /** null: no HTTP listener. Port 0 takes a free one. */
  readonly http: { readonly host: string; readonly port: number } | null;
  readonly log: Log;
  readonly version?: string;
  /** user ids that may use the attach and admin sockets; default root */
  readonly allowedUids?: readonly number[];
  /** feeds portwright_api_rejected_total */
  readonly onRejected?: (reason: RejectReason) => void;
  readonly limits?: Partial<Limits>;
  /** where sockets passed by systemd are announced */
  readonly env?: NodeJS.ProcessEnv;
}

export interface Api {
  readonly addresses: {
    readonly cni: string;
    readonly read: string;
    readonly admin: string;
    readonly http: string | null;
  };
  /** Takes no more requests, lets those in flight end, ends event streams, removes the sockets it made. */
  close(): Promise<void>;
}

/** All or nothing: if one server cannot be had, those before it are closed again. */
export async function startApi(options: ApiOptions): Promise<Api> {
  const host = options.http === null ? null : loopbackAddress(options.http.host);
  const passed = passedSockets(options.env ?? process.env, process.pid);
  if (passed.cni === undefined || passed.read === undefined || passed.admin === undefined)
    prepareRunDirectory(options.runDirectory);
  const surfaces = [
    await attachSurface(options),
    await readSurface(options),
    await adminSurface(options),
    await httpSurface(options),
  ] as const;
  const [attach, read, admin, web] = surfaces;
  const close = async () => {
    for (const surface of surfaces) surface.streams.close();
    await Promise.all(
      surfaces.map(async ({ app, connections, pluginCalls, limits }) => {
        pluginCalls?.stop();
        await closeApp(app, connections, limits.grace);
      }),
    );
  };
  try {
    await Promise.all(surfaces.map((surface) => surface.app.ready()));
    const at = (name: string) => path.join(options.runDirectory, name);
    const addresses = {
      cni: await listenOnUnix(attach.app, passed.cni, at("cni.sock"), 0o600),
      read: await listenOnUnix(read.app, passed.read, at("read.sock"), 0o660),
      admin: await listenOnUnix(admin.app, passed.admin, at("admin.sock"), 0o600),
      http: host === null ? null : await listenHttp(web.app, passed.http, host, options.http?.port ?? 0),
    };
    attach.pluginCalls?.start(attach.app.server, attach.connections);
    options.log.info(addresses, "API listens");
    return { addresses, close };
  } catch (error) {
    await close();
    throw error;
  }
}

interface Surface {
  readonly app: App;
  readonly connections: Connections;
  readonly pluginCalls?: PluginCalls;
  readonly streams: EventStreams;
  readonly limits: Limits;
}

function peerGuard({ kernel, allowedUids = [0] }: ApiOptions): PeerGuard {
  return new PeerGuard(kernel, allowedUids);
}

/** By the peer's credentials: the socket's mode alone would be lost with a careless chmod. */
function admission(options: ApiOptions, guard: PeerGuard, name: string): Admit {
  return (request) => {
    const { allowed, who } = guard.check(request.raw.socket);
    if (allowed) return;
    options.log.warn({ who, url: request.url }, `call refused on the ${name} socket`);
    throw new PortwrightError("FORBIDDEN", `${who} may not use the ${name} socket`);
  };
}

async function adminSurface(options: ApiOptions): Promise<Surface> {
  const admit = admission(options, peerGuard(options), "admin");
  const surface = await createSurface(options, adminLimits, "Portwright admin API", { admit });
  adminRoutes(surface.app, options.backend);
  openApiRoute(surface.app);
  return surface;
}

async function attachSurface(options: ApiOptions): Promise<Surface> {
  const { backend, log } = options;
  const limits = { ...attachLimits, ...options.limits };
  const gate = new Gate(limits.work);
  const guard = peerGuard(options);
  const pluginCalls = new PluginCalls({
    answer: (request) => backend.cni(request),
    gate,
    kernel: options.kernel,
    mayCall: (connection) => guard.checkDescriptor(connection).allowed,
    limits,
    log,
  });
  const admit = admission(options, guard, "attach");
  const surface = await createSurface(options, attachLimits, "Portwright attach API", { admit });
  const { app, streams } = surface;
  cniRoute(app, backend, gate);
  attachRoutes(app, options.backend, gate);
  attachmentListRoute(app, () => options.backend.attachments());
  eventsRoute(app, streams);
  openApiRoute(app);
  return { ...surface, pluginCalls };
}

async function readSurface(options: ApiOptions): Promise<Surface> {
  const surface = await createSurface(options, readLimits, "Portwright reading API");
  const { app, streams } = surface;
  readRoutes(app, options.backend, "/v1");
  attachmentListRoute(app, () => options.backend.attachments());
  eventsRoute(app, streams);
  metricsRoute(app, options.backend);
  healthRoutes(app, options.backend);
  openApiRoute(app);
  return surface;
}

async function httpSurface(options: ApiOptions): Promise<Surface> {
  const surface = await createSurface(options, readLimits, "Portwright debug endpoint", {
    admit: (request) => {
      if (isLoopbackHost(request.headers.host)) return;
      throw new PortwrightError("HOST_REFUSED", "the Host header names another host than this one");
    },
  });
  const { app } = surface;
  metricsRoute(app, options.backend);
  healthRoutes(app, options.backend);
  debugRoutes(app, options.backend);
  openApiRoute(app);
  return surface;
}

type Admit = NonNullable<AppOptions["admit"]>;

async function createSurface(
  options: ApiOptions,
  defaults: Limits,
  title: string,
  door: Pick<AppOptions, "admit"> = {},
): Promise<Surface> {
  const { log, onRejected = () => {} } = options;
  const limits = { ...defaults, ...options.limits };
  const version = options.version ?? "1";
  const { app, connections } = await createApp({ title, version, limits, log, onRejected, ...door });
  return { app, connections, limits, streams: new EventStreams(options.backend, { limits, log, onRejected }) };
}

/** What systemd bound is held to loopback as well. */
async function listenHttp(app: App, fd: number | undefined, host: string, port: number): Promise<string> {
  if (fd === undefined) return await listenOnPort(app.server, host, port);
  const url = await listenOnDescriptor(app.server, fd);
  const bound = /^http:\/\/\[?([^\]]+?)\]?:\d+$/.exec(url)?.[1];
  if (bound === undefined) throw new PortwrightError("HTTP_NOT_LOOPBACK", `the socket "http" from systemd is ${url}`);
  loopbackAddress(bound);
  return url;
}

function listenOnUnix(app: App, fd: number | undefined, socketPath: string, mode: 0o600 | 0o660): Promise<string> {
  return fd === undefined ? listenOnPath(app.server, socketPath, mode) : listenOnDescriptor(app.server, fd);
}
