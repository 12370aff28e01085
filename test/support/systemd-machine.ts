/**
 * A machine with a real systemd as its first process (systemd-machine.sh), on which Portwright is installed as an operator
 * would do it. It has a NIC `nic0`, whose wire is in the namespace `wire`, and goes with the test.
 */
import { execFileSync, spawn } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { once } from "node:events";
import path from "node:path";
import { createInterface } from "node:readline";
import { type ProgramResult, runProgram } from "../../daemon/demo/run-program.ts";
import type { Status } from "../../daemon/model/status.ts";
import { CLUSTER_NETWORK, UPLINK } from "./test-host.ts";
import { PATIENCE, until } from "./until.ts";

const CHECKOUT = path.join(import.meta.dirname, "../..");
const SCRIPT = path.join(import.meta.dirname, "systemd-machine.sh");

export const SOCKETS = ["cni", "read", "admin", "http"].map((name) => `portwrightd-${name}.socket`);
export const UNITS = [...SOCKETS, "portwrightd.service"];
/** the cluster network `vm` on nic0 */
export const INTENT = `${CLUSTER_NETWORK("vm")}---${UPLINK("vm", "nic0")}`;
/** the same with a network */
export const NETWORK = `${INTENT}---
apiVersion: portwright.io/v1alpha1
kind: Network
metadata: { name: vlan100 }
spec: { clusterNetwork: vm, type: L2VlanNetwork, vlan: 100 }
`;

const ENVIRONMENT = { PATH: "/usr/sbin:/usr/bin:/sbin:/bin", LC_ALL: "C.UTF-8" };

/** What the script needs of this machine; empty: all is there. */
export function missingForMachine(): string {
  if (process.getuid?.() !== 0) return "root";
  if (!existsSync("/usr/bin/systemd-nspawn")) return "systemd-container";
  if (!readFileSync("/proc/self/mountinfo", "utf8").includes(" - cgroup2 ")) return "cgroup2";
  if (!/\toverlay$/m.test(readFileSync("/proc/filesystems", "utf8"))) return "overlayfs";
  try {
    execFileSync("unshare", ["--mount", "mount", "-t", "tmpfs", "-o", "ro", "tmpfs", "/mnt"], { stdio: "ignore" });
    return "";
  } catch {
    return "the right to mount";
  }
}

export interface Entry {
  readonly MESSAGE: string;
  readonly PRIORITY: string;
  /** of the process that wrote it */
  readonly _PID: string;
}

export interface ServiceState {
  readonly ActiveState: string;
  readonly SubState: string;
  readonly Result: string;
  readonly ExecMainStatus: string;
  readonly MainPID: string;
  readonly NRestarts: string;
}

export interface Pings {
  readonly sent: number;
  readonly received: number;
}

export class Machine {
  /** its systemd, as seen from here */
  #leader = 0;
  #boots = 0;

  static async boot(t: { teardown(end: () => Promise<void>): void }): Promise<Machine> {
    const self = new Machine();
    // A runner that dies takes the script along, and the script the machine.
    const args = ["--mount", "--propagation", "private", "setpriv", "--pdeathsig", "TERM", "sh", SCRIPT];
    const child = spawn("unshare", [...args, CHECKOUT, process.execPath], {
      detached: true, // Ctrl-C is for the runner, which then ends the machine in order
      stdio: ["ignore", "pipe", "pipe"],
    });
    const exited = once(child, "exit");
    const said: string[] = [];
    child.stderr.setEncoding("utf8").on("data", (text: string) => said.push(text));
    createInterface({ input: child.stdout }).on("line", (line) => {
      said.push(`${line}\n`);
      const leader = Number(/^leader (\d+)$/.exec(line)?.[1] ?? 0);
      if (leader > 0) [self.#leader, self.#boots] = [leader, self.#boots + 1];
    });
    t.teardown(async () => {
      child.kill("SIGTERM");
      await exited;
    });
    await self.#isUp(1).catch((error: unknown) => {
      throw new Error(`the machine does not come up: ${said.join("")}`, { cause: error });
    });
    return self;
  }

  /** As an administrator does it; resolves when it is up again. */
  async reboot(): Promise<void> {
    const before = this.#boots;
    await this.run("systemctl", ["reboot"]);
    await this.#isUp(before + 1);
  }

  /** Runs a program in it, in all of its namespaces. */
  run(
    program: string,
    args: readonly string[] = [],
    options: { readonly input?: string; readonly env?: Readonly<Record<string, string>> } = {},
  ): Promise<ProgramResult> {
    return runProgram("nsenter", ["--target", String(this.#leader), "--all", program, ...args], {
      env: { ...ENVIRONMENT, ...options.env },
      input: options.input ?? "",
      timeoutMs: 60_000 * PATIENCE,
    });
  }

  /** Its output; throws if it fails. */
  async output(...[program, args, options]: Parameters<Machine["run"]>): Promise<string> {
    const { ended, stdout, stderr } = await this.run(program, args, options);
    if (ended !== 0) throw new Error(`${program} ${args?.join(" ")}: ${ended}: ${stderr}${stdout}`);
    return stdout;
  }

  systemctl(...args: string[]): Promise<string> {
    return this.output("systemctl", args);
  }

  async write(file: string, text: string): Promise<void> {
    await this.output("tee", [file], { input: text });
  }

  /** Intent in place, all units enabled and started. */
  async enable(intent = INTENT): Promise<void> {
    await this.write("/etc/portwright/host.yaml", intent);
    await this.systemctl("enable", "--now", ...UNITS);
  }

  async state(): Promise<ServiceState> {
    const names = "ActiveState,SubState,Result,ExecMainStatus,MainPID,NRestarts";
    const text = await this.systemctl("show", "portwrightd", `--property=${names}`);
    return Object.fromEntries(text.split("\n").map((line) => line.split("="))) as ServiceState;
  }

  /** What the service has written since the boot. */
  async journal(): Promise<readonly Entry[]> {
    const args = ["--unit=portwrightd", "--boot", "--output=json", "_COMM=node"];
    const text = await this.output("journalctl", args);
    return text.split("\n").flatMap((line) => (line === "" ? [] : [JSON.parse(line) as Entry]));
  }

  async networks(): Promise<readonly string[]> {
    return (await this.status()).networks.map(({ name }) => name);
  }

  /** by the reading socket */
  async status(): Promise<Status> {
    const args = ["-s", "--unix-socket", "/run/portwright/read.sock", "http://localhost/v1/status"];
    return JSON.parse(await this.output("curl", args)) as Status;
  }

  /** Path, from here, of its namespace of that name. */
  netns(name: string): string {
    return `/proc/${this.#leader}/root/run/netns/${name}`;
  }

  /** By the installed plugin, for the namespace of that name; answers with the address that IPAM gave. */
  async add(name: string, vlan = 100): Promise<string> {
    await this.output("ip", ["netns", "add", name]);
    const { ended, stdout } = await this.#cni("ADD", name, vlan);
    if (ended !== 0) throw new Error(`ADD ${name}: ${ended}: ${stdout}`);
    const { ips } = JSON.parse(stdout) as { ips: { address: string }[] };
    return ips[0]?.address.split("/")[0] ?? "";
  }

  async del(name: string, vlan = 100): Promise<void> {
    const { ended, stdout } = await this.#cni("DEL", name, vlan);
    if (ended !== 0) throw new Error(`DEL ${name}: ${ended}: ${stdout}`);
    await this.output("ip", ["netns", "del", name]);
  }

  /** 10 ms apart */
  async pings(from: string, address: string, count: number): Promise<Pings> {
    const args = ["netns", "exec", from, "ping", "-n", "-q", "-i", "0.01", "-c", String(count), "-W", "2", address];
    const { stdout } = await this.run("ip", args);
    const match = /(\d+) packets transmitted, (\d+) received/.exec(stdout);
    return { sent: Number(match?.[1]), received: Number(match?.[2]) };
  }

  #cni(command: "ADD" | "DEL", name: string, vlan: number): Promise<ProgramResult> {
    const ranges = [[{ subnet: `10.${vlan}.0.0/24` }]];
    const network = { cniVersion: "1.0.0", name: `vlan${vlan}`, type: "portwright", bridge: "vm-br", vlan };
    return this.run("/opt/cni/bin/portwright", [], {
      env: {
        CNI_COMMAND: command,
        CNI_CONTAINERID: name,
        CNI_NETNS: `/run/netns/${name}`,
        CNI_IFNAME: "eth0",
        CNI_PATH: "/opt/cni/bin:/usr/lib/cni",
      },
      input: JSON.stringify({ ...network, ipam: { type: "host-local", ranges } }),
    });
  }

  /** "running": every unit that was wanted is active, none has failed */
  async #isUp(boot: number): Promise<void> {
    let state = "";
    await until(async () => {
      if (this.#boots < boot) return false;
      state = (await this.run("systemctl", ["is-system-running"])).stdout.trim();
      return state === "running" || state === "degraded";
    });
    if (state === "running") return;
    throw new Error(`it is ${state}: ${await this.output("systemctl", ["--failed", "--no-legend"])}`);
  }
}
