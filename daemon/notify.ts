/**
 * Telling systemd how the daemon is (sd_notify(3)). Without NOTIFY_SOCKET every method does nothing and no library is
 * loaded. A failure to notify is logged once and is never a reason to stop.
 */
import type { Kernel } from "./kernel/kernel.ts";
import type { Log } from "./log.ts";

export interface Notifier {
  ready(): void;
  /** SIGHUP came: the configuration is being read again; ready() ends it */
  reloading(): void;
  stopping(): void;
  status(text: string): void;
  /** ms within which systemd wants to hear from us; null: no watchdog. Ping at a third of it. */
  watchdogInterval(): number | null;
  /** the ping: through the addon, never through ffi */
  watchdog(): void;
}

/** libsystemd, or its twin */
export interface NotifyLibrary {
  notify(state: string): void;
  /** µs; 0: no watchdog for this process */
  watchdogMicroseconds(): number;
}

export interface NotifierOptions {
  readonly kernel: Pick<Kernel, "notify">;
  readonly log: Pick<Log, "warn" | "debug">;
  readonly env?: NodeJS.ProcessEnv;
  readonly loadLibrary?: () => Promise<NotifyLibrary>;
}

export async function createNotifier(options: NotifierOptions): Promise<Notifier> {
  const { kernel, log, env = process.env } = options;
  const socket = env.NOTIFY_SOCKET;
  if (!socket) return silent;
  const twin = kernelLibrary(kernel, socket, env);
  const library = await loadOr(twin, options);
  let warned = false;
  const send = (through: Pick<NotifyLibrary, "notify">, state: string) => {
    try {
      through.notify(state);
    } catch (error) {
      if (!warned) log.warn({ error, socket }, "cannot notify systemd");
      warned = true;
    }
  };
  return {
    ready: () => send(library, "READY=1"),
    reloading: () => send(library, `RELOADING=1\nMONOTONIC_USEC=${process.hrtime.bigint() / 1000n}`),
    stopping: () => send(library, "STOPPING=1"),
    status: (text) => send(library, `STATUS=${oneLine(text)}`),
    watchdog: () => send(twin, "WATCHDOG=1"),
    watchdogInterval: () => {
      const microseconds = library.watchdogMicroseconds();
      return microseconds > 0 ? microseconds / 1000 : null;
    },
  };
}

const silent: Notifier = {
  ready() {},
  reloading() {},
  stopping() {},
  status() {},
  watchdog() {},
  watchdogInterval: () => null,
};

async function loadOr(twin: NotifyLibrary, options: NotifierOptions): Promise<NotifyLibrary> {
  const load = options.loadLibrary ?? (async () => (await import("./notify-ffi.ts")).loadLibsystemd());
  try {
    return await load();
  } catch (error) {
    options.log.debug({ error }, "libsystemd cannot be called, the addon stands in");
    return twin;
  }
}

/** The same by the addon's own system calls. */
function kernelLibrary(kernel: Pick<Kernel, "notify">, socket: string, env: NodeJS.ProcessEnv): NotifyLibrary {
  return {
    notify: (state) => kernel.notify(socket, state),
    watchdogMicroseconds: () => {
      const { WATCHDOG_USEC = "", WATCHDOG_PID } = env;
      const isOurs = WATCHDOG_PID === undefined || WATCHDOG_PID === String(process.pid);
      const microseconds = /^\d{1,15}$/.test(WATCHDOG_USEC) ? Number(WATCHDOG_USEC) : 0;
      return isOurs ? microseconds : 0;
    },
  };
}

/** A line break would begin another assignment of the protocol. */
function oneLine(text: string): string {
  return text.replaceAll(/[\r\n]+/g, " ");
}
