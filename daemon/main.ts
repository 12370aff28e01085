/** The program portwrightd: arguments, signals, and what systemd is told. */
import { passedSockets } from "./api/activation.ts";
import { loopbackAddress } from "./api/loopback.ts";
import { startApi } from "./api/server.ts";
import { turnAway } from "./api/turn-away.ts";
import { Daemon } from "./daemon.ts";
import { PortwrightError } from "./errors.ts";
import { isKernelError } from "./kernel/kernel-error.ts";
import { nativeKernel } from "./kernel/native.ts";
import { createLog, lastWords } from "./log.ts";
import { createNotifier } from "./notify.ts";
import { HELP, parseSettings, UsageError } from "./settings.ts";
import { VERSION } from "./version.ts";

/** exit codes of systemd.exec(5) and sysexits: 64 wrong usage, 78 configuration, 71 the system said no */
const EX_USAGE = 64;
const EX_OSERR = 71;
const EX_CONFIG = 78;

async function main(): Promise<void> {
  const settings = parseSettings(process.argv.slice(2));
  if (settings === "help") return void process.stdout.write(HELP);
  if (settings === "version") return void process.stdout.write(`portwrightd ${VERSION}\n`);

  const log = createLog({ level: settings.logLevel });
  const kernel = nativeKernel();
  const notifier = await createNotifier({ kernel, log });
  if (settings.http !== null) loopbackAddress(settings.http.host); // refused before anything is made
  let reload = (): void => undefined;
  process.on("SIGHUP", () => reload()); // during the start, which reads the intent anyway, it must not kill
  const begun = performance.now();
  const daemon = await Daemon.start(settings, kernel, log);
  const api = await startApi({
    backend: daemon,
    kernel,
    runDirectory: settings.runDirectory,
    http: settings.http,
    log,
    version: VERSION,
    onRejected: (reason) => daemon.meters.countRejected(reason),
  }).catch(async (error: unknown) => {
    await daemon.close();
    throw error;
  });
  daemon.httpAddress = api.addresses.http;
  notifier.ready();
  log.info({ version: VERSION, ms: Math.round(performance.now() - begun), ...api.addresses }, "ready");

  const interval = notifier.watchdogInterval();
  const watchdog =
    interval === null
      ? undefined
      : setInterval(() => {
          const alive = daemon.healthy().then(({ ok }) => (ok ? notifier.watchdog() : undefined));
          alive.catch((error: unknown) => log.error({ error }, "not healthy: systemd hears nothing"));
        }, interval / 3);
  let ending = false;
  const end = async (signal: string): Promise<void> => {
    if (ending) return;
    ending = true;
    notifier.stopping();
    log.info({ signal }, "ending; the switch goes on");
    clearInterval(watchdog);
    await api.close();
    await daemon.close();
  };
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    process.on(signal, () => {
      end(signal).catch((error: unknown) => {
        log.fatal({ error }, "ending failed");
        process.exitCode = 1;
      });
    });
  }
  reload = () => {
    notifier.reloading();
    void daemon.reload().then(() => notifier.ready());
  };
}

try {
  await main();
} catch (error) {
  process.exitCode = report(error);
  // The unit's RestartPreventExitStatus=: nothing gets right by being repeated.
  const isFinal = process.exitCode === EX_USAGE || process.exitCode === EX_CONFIG;
  if (isFinal) await turnAway(passedSockets(process.env, process.pid));
}

/** One clear sentence each; only what nobody foresaw shows its stack. */
function report(error: unknown): number {
  if (error instanceof UsageError) {
    say(error.message);
    return EX_USAGE;
  }
  if (error instanceof PortwrightError) {
    say(error.toString());
    return error.code.startsWith("INTENT_") ? EX_CONFIG : EX_OSERR;
  }
  if (isKernelError(error)) {
    say(`the kernel refused: ${error.message}`);
    return EX_OSERR;
  }
  say(error instanceof Error ? (error.stack ?? error.message) : String(error));
  return 1;
}

function say(text: string): void {
  process.stderr.write(lastWords(`portwrightd: ${text}`));
}
