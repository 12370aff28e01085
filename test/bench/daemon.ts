/** The built daemon under measurement: started by hand, so that its start can be timed, and looked at through /proc. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { Agent, request } from "node:http";
import { join } from "node:path";
import type { LabHost } from "../../daemon/demo/lab.ts";
import { DAEMON_NODE_OPTIONS, daemonProgram } from "../../daemon/package-files.ts";
import { CLUSTER_NETWORK, UPLINK } from "../support/test-host.ts";
import type { Scope } from "./scope.ts";

export interface Start {
  /** s from the start of the process to its word that it is ready */
  readonly wall: number;
  /** the same without the time that its main thread waited for a core that others used */
  readonly undisturbed: number;
}

const START_LIMIT_MS = 60_000;

export class BenchDaemon {
  readonly #child: ReturnType<typeof spawn>;
  readonly start: Start;
  readonly directory: string;

  private constructor(child: ReturnType<typeof spawn>, start: Start, directory: string) {
    this.#child = child;
    this.start = start;
    this.directory = directory;
  }

  /** A host with one NIC whose far end is a namespace of its own, and the intent for it. */
  static async prepare(
    scope: Scope,
    networks: string,
    name = "host",
  ): Promise<{ readonly host: LabHost; readonly directory: string }> {
    const host = await scope.host(name);
    const wire = await scope.host(`${name}-wire`);
    await scope.lab.cable({ host, interface: "nic0" }, { host: wire, interface: "nic0" });
    const directory = join(scope.directory, `${name}-daemon`);
    await mkdir(directory, { mode: 0o700 });
    const intent = `${CLUSTER_NETWORK("oob")}---${UPLINK("oob", "nic0")}---${networks}`;
    await writeFile(join(directory, "intent.yaml"), intent);
    // The daemon would mount it, too; but whoever removes the directory must know of the mount.
    await mkdir(join(directory, "bpf"), { mode: 0o700 });
    scope.kernel.mountBpffs(join(directory, "bpf"));
    scope.defer(() => scope.kernel.unmountBpffs(join(directory, "bpf")));
    return { host, directory };
  }

  static async spawn(scope: Scope, host: LabHost, directory: string): Promise<BenchDaemon> {
    const args = [
      ...DAEMON_NODE_OPTIONS,
      daemonProgram(),
      ...["--netns", host.path, "--http", "127.0.0.1:0", "--intent", join(directory, "intent.yaml")],
      ...["--run-dir", join(directory, "run"), "--state-dir", join(directory, "state")],
      ...["--pin-dir", join(directory, "bpf")],
    ];
    const begun = performance.now();
    const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "pipe"] });
    scope.adopt(child);
    let log = "";
    const wall = await new Promise<number>((resolve, reject) => {
      const patience = setTimeout(() => reject(new Error(`not ready in time:\n${log}`)), START_LIMIT_MS);
      const see = (chunk: Buffer): void => {
        log = (log + chunk.toString("utf8")).slice(-20_000);
        if (!log.includes('"msg":"ready"')) return;
        clearTimeout(patience);
        resolve((performance.now() - begun) / 1000);
      };
      child.stdout.on("data", see);
      child.stderr.on("data", see);
      child.on("exit", () => reject(new Error(`the daemon ended:\n${log}`)));
    });
    return new BenchDaemon(child, { wall, undisturbed: wall - waited(child.pid ?? 0) }, directory);
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }
  get cniSocket(): string {
    return join(this.directory, "run/cni.sock");
  }
  get adminSocket(): string {
    return join(this.directory, "run/admin.sock");
  }
  get readSocket(): string {
    return join(this.directory, "run/read.sock");
  }

  async stop(): Promise<void> {
    const exit = once(this.#child, "exit");
    this.#child.kill("SIGTERM");
    await exit;
  }
}

/** `node -e 0`, from start to end. */
export async function bareStart(): Promise<Start> {
  const begun = performance.now();
  // It tells its own wait at its end: /proc is gone with it.
  const program = "process.stdout.write(require('fs').readFileSync('/proc/self/schedstat', 'utf8'))";
  const child = spawn(process.execPath, ["-e", program], { stdio: ["ignore", "pipe", "inherit"] });
  let text = "";
  child.stdout.on("data", (chunk: Buffer) => {
    text += chunk.toString("utf8");
  });
  await once(child, "close");
  const wall = (performance.now() - begun) / 1000;
  return { wall, undisturbed: wall - Number(text.split(" ")[1]) / 1e9 };
}

/** s that the process's main thread was ready to run and had no core: second field of schedstat (CONFIG_SCHED_INFO) */
export function waited(pid: number): number {
  return Number(readFileSync(`/proc/${pid}/schedstat`, "utf8").split(" ")[1]) / 1e9;
}

/** s of CPU time of the main thread, JavaScript's: first field of schedstat */
export function mainThreadTime(pid: number): number {
  return Number(readFileSync(`/proc/${pid}/schedstat`, "utf8").split(" ")[0]) / 1e9;
}

/** s of CPU time that all threads used, to the nanosecond */
export function cpuTime(pid: number): number {
  const tasks = readdirSync(`/proc/${pid}/task`);
  const used = tasks.map((task) => Number(readFileSync(`/proc/${pid}/task/${task}/schedstat`, "utf8").split(" ")[0]));
  return used.reduce((a, b) => a + b, 0) / 1e9;
}

export function residentMB(pid: number): number {
  const kB = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
  return (Number(kB) * 1024) / 1e6;
}

export function network(name: string, vlan: number): string {
  return `
apiVersion: portwright.io/v1alpha1
kind: Network
metadata: { name: ${name} }
spec: { clusterNetwork: oob, type: L2VlanNetwork, vlan: ${vlan} }
`;
}

const agent = new Agent({ keepAlive: true });

/** One request on one of the daemon's sockets; the body of the answer. */
export function call(socketPath: string, method: string, path: string, body?: object): Promise<string> {
  return new Promise((resolve, reject) => {
    const headers = body ? { "content-type": "application/json" } : {};
    const outgoing = request({ socketPath, method, path, headers, agent, timeout: 60_000 }, (response) => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk: Buffer) => chunks.push(chunk));
      response.on("error", reject);
      response.on("end", () => {
        const text = Buffer.concat(chunks).toString("utf8");
        if ((response.statusCode ?? 500) < 300) resolve(text);
        else reject(new Error(`${method} ${path}: ${response.statusCode} ${text}`));
      });
    });
    outgoing.on("timeout", () => outgoing.destroy(new Error(`${method} ${path}: no answer`)));
    outgoing.on("error", reject);
    outgoing.end(body ? JSON.stringify(body) : undefined);
  });
}
