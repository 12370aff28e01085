/** `portwright demo`: builds the demo, shows what it does, stays until Ctrl-C, and takes it down. */
import { existsSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { portLines, probeLines } from "../client/views.ts";
import { nativeKernel } from "../kernel/native.ts";
import { bpfObjectFile, cniPluginFile, daemonProgram, demoIntentFile } from "../package-files.ts";
import { messageOf } from "../thrown.ts";
import { Demo } from "./demo.ts";
import { statusFaults } from "./expectations.ts";
import { removeLeavings } from "./leavings.ts";
import { formatMatrix } from "./matrix.ts";

const REFRESH_MS = 2000;
/** Ctrl-C, a service manager, a closed terminal */
const STOPPING = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
/** as a shell has it: 128 and SIGINT */
const EXIT_INTERRUPTED = 130;

/** Exit code: 0 if every expectation held, 130 if it was ended before that could be seen. */
export async function runDemo(options: { readonly once: boolean }): Promise<number> {
  const files = {
    daemon: daemonProgram(),
    plugin: cniPluginFile(),
    bpfObject: bpfObjectFile(),
    intent: demoIntentFile(),
  };
  for (const file of Object.values(files)) {
    if (!existsSync(file)) throw new Error(`${file} is missing: build first, with "npm run build"`);
  }
  const say = (line: string): void => void process.stdout.write(`${line}\n`);
  const kernel = nativeKernel();
  await removeLeavings(kernel, say);

  const stop = new AbortController();
  const interrupt = (): void => stop.abort();
  for (const signal of STOPPING) process.on(signal, interrupt);
  process.stdout.on("error", interrupt); // the terminal or the reader of a pipe is gone
  const demo = new Demo(kernel, files, (line) => say(`  ${line}`));
  const failures: unknown[] = [];
  let faults: readonly string[] | null = null;
  try {
    say("Building the demo in private network namespaces:");
    await demo.build(stop.signal);
    stop.signal.throwIfAborted();
    faults = await show(demo, say);
    if (!options.once && !stop.signal.aborted) await live(demo, stop.signal);
  } catch (error) {
    if (error !== stop.signal.reason) failures.push(error);
  }
  say("Taking the demo down.");
  await demo.dispose().catch((error: unknown) => failures.push(error));
  if (failures.length > 0) throw failures[0];
  if (faults === null) return EXIT_INTERRUPTED;
  if (faults.length === 0) return 0;
  process.stderr.write(`${["These expectations did not hold:", ...faults.map((fault) => `  ${fault}`)].join("\n")}\n`);
  return 1;
}

async function show(demo: Demo, say: (line: string) => void): Promise<readonly string[]> {
  const block = (title: string, lines: readonly string[]): void =>
    say(["", title, ...lines.map((line) => `  ${line}`)].join("\n"));
  const [cells, status] = await Promise.all([demo.matrix(), demo.probed()]);
  block('Who reaches whom (row pings column; "-": must not and does not, "!!": wrong):', formatMatrix(cells));
  block("Gateway probes, from inside each VLAN:", probeLines(status));
  block(`Ports (datapath ${status.datapath.rung}):`, portLines(await demo.ports(), await demo.owners()));
  const { cni, read } = demo.sockets;
  block("Look around:", [
    `${status.http}/metrics`,
    `${status.http}/debug/`,
    `curl --unix-socket ${read} http://localhost/v1/status`,
    `attach socket: ${cni}`,
  ]);
  const wrong = cells.filter(({ reached, expected }) => reached !== expected);
  return [
    ...wrong.map(({ from, to, expected }) => `${from.label} must ${expected ? "" : "not "}reach ${to.label}`),
    ...statusFaults(status),
  ];
}

/** Pings go on, so that the counters have something to show. */
async function live(demo: Demo, signal: AbortSignal): Promise<void> {
  const onScreen = process.stdout.isTTY;
  process.stdout.write(`\nRunning until Ctrl-C.\n`);
  const owners = await demo.owners();
  let drawn = 0;
  while (!signal.aborted) {
    await Promise.all([demo.matrix().catch(() => []), sleep(REFRESH_MS, undefined, { signal }).catch(() => undefined)]);
    if (signal.aborted || !onScreen) continue;
    const lines = await look(demo, owners).catch((error: unknown) => ["", `no answer: ${messageOf(error)}`]);
    // Up over what was drawn before, and clear to the end of the screen (ECMA-48 CUU, ED).
    if (drawn > 0) process.stdout.write(`\u001b[${drawn}A\u001b[J`);
    process.stdout.write(`${lines.join("\n")}\n`);
    drawn = lines.length;
  }
}

async function look(demo: Demo, owners: ReadonlyMap<string, string>): Promise<readonly string[]> {
  const [status, ports] = await Promise.all([demo.status(), demo.ports()]);
  return ["", ...portLines(ports, owners), "", ...probeLines(status)];
}
