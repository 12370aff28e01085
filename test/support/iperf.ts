/** TCP between two namespaces by iperf3, bounded in time. */
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { promisify } from "node:util";

const run = promisify(execFile);

export interface Transfer {
  readonly bytes: number;
  readonly bitsPerSecond: number;
  /** of client and server together */
  readonly cpuSeconds: number;
}

/** of what `iperf3 --json` prints, the part that is read here */
interface Report {
  readonly end: {
    readonly sum_received: { readonly bytes: number; readonly bits_per_second: number; readonly seconds: number };
    readonly cpu_utilization_percent: { readonly host_total: number; readonly remote_total: number };
  };
}

/** Sends from one namespace to an address in the other, with the kernel's default offloads. */
export async function transfer(
  fromNetns: string,
  toNetns: string,
  address: string,
  { seconds, extra = [] }: { seconds: number; extra?: readonly string[] },
): Promise<Transfer> {
  const server = spawn("nsenter", [`--net=${toNetns}`, "iperf3", "--server", "--one-off", "--forceflush"], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  try {
    await once(server.stdout, "data"); // "Server listening"
    const client = [
      `--net=${fromNetns}`,
      "iperf3",
      "--client",
      address,
      "--json",
      "--connect-timeout",
      "5000",
      "--time",
      String(seconds),
    ];
    const { stdout } = await run("nsenter", [...client, ...extra], { timeout: 30_000 + seconds * 1000 });
    const { end } = JSON.parse(stdout) as Report;
    const { bytes, bits_per_second, seconds: lasted } = end.sum_received;
    const percent = end.cpu_utilization_percent.host_total + end.cpu_utilization_percent.remote_total;
    return { bytes, bitsPerSecond: bits_per_second, cpuSeconds: (lasted * percent) / 100 };
  } finally {
    server.kill("SIGKILL");
  }
}
