/** What the figures were made on. */
import { cpus, hostname, loadavg, release, totalmem } from "node:os";
import { readFileSync } from "node:fs";

export function machineFacts() {
  return {
    host: hostname(),
    kernel: release(),
    cpu: cpus()[0]?.model ?? "",
    cpus: cpus().length,
    memoryMB: Math.round(totalmem() / 1e6),
    node: process.version,
  };
}

/** How busy the machine is with other things: whoever reads a figure should know. */
export function disturbance() {
  const [cpu = ""] = readFileSync("/proc/stat", "utf8").split("\n");
  const [user = 0, nice = 0, system = 0, idle = 0, iowait = 0, irq = 0, softirq = 0, steal = 0] = cpu
    .split(/\s+/)
    .slice(1)
    .map(Number);
  return { load1: loadavg()[0] ?? 0, ticks: user + nice + system + idle + iowait + irq + softirq + steal, idle, steal };
}

export type Disturbance = ReturnType<typeof disturbance>;

export function between(before: Disturbance, after: Disturbance) {
  const ticks = Math.max(1, after.ticks - before.ticks);
  return {
    load1: { before: before.load1, after: after.load1 },
    idlePercent: (100 * (after.idle - before.idle)) / ticks,
    stealPercent: (100 * (after.steal - before.steal)) / ticks,
  };
}
