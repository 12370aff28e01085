/** TCP between two pods with the kernel's default offloads. */
import { transfer } from "../../support/iperf.ts";
import { build, type Connect, linuxBridge, type Pod, portwright } from "../beds.ts";
import type { Row } from "../row.ts";
import { column, type Contender, interleave } from "../rounds.ts";
import { median, ratios } from "../stats.ts";

const OURS = "portwright";
const PEER = "Linux bridge";

export const tcp: Row = {
  name: "tcp",
  run: async ({ scope, quick }) => {
    const contender = async (name: string, host: string, connect: Connect): Promise<Contender> => {
      const { pods } = await build(scope, host, 2, connect, { addresses: true });
      const [from, to] = pods as readonly [Pod, Pod];
      return {
        name,
        measure: async () => {
          const seconds = quick ? 1 : 2;
          const { bitsPerSecond, bytes, cpuSeconds } = await transfer(from.host.path, to.host.path, "10.0.0.2", {
            seconds,
          });
          return { bitsPerSecond, bitsPerCpuSecond: (bytes * 8) / cpuSeconds, cpuSeconds };
        },
      };
    };
    const contenders = [await contender(OURS, "c0", portwright), await contender(PEER, "c1", linuxBridge)];
    const samples = await interleave(contenders, { warmups: 1, counted: quick ? 5 : 9, signal: scope.signal });
    const figure = (field: string) => {
      const [ours, peer] = [column(samples, OURS, field), column(samples, PEER, field)];
      return { ours: median(ours) / 1e9, peer: median(peer) / 1e9, ratio: ratios(ours, peer) };
    };
    const perCpu = figure("bitsPerCpuSecond");
    return {
      figures: [
        {
          what: "TCP, default offloads",
          ...figure("bitsPerSecond"),
          unit: "Gb/s",
          peerName: PEER,
          bound: { sense: "at-least", must: 0.95, aim: 1.05, unit: "x" },
          judged: "ratio",
        },
      ],
      notes: [
        `for a second of CPU time of client and server: ${perCpu.ours.toFixed(2)} against ${perCpu.peer.toFixed(2)} Gb, ` +
          `${perCpu.ratio.median.toFixed(2)}x`,
      ],
      samples,
    };
  },
};
