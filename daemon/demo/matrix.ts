/** Who reaches whom: real pings, from every workload to every other and to every gateway. */
import { runProgram } from "./run-program.ts";
import { type Endpoint, endpoints, mustReach, targets } from "./topology.ts";

export interface Cell {
  readonly from: Endpoint;
  readonly to: Endpoint;
  readonly reached: boolean;
  readonly expected: boolean;
}

export type Ping = (from: Endpoint, to: Endpoint) => Promise<boolean>;

const ATTEMPTS = 3;

/** What must be reached may take a few tries (a first ping can meet a busy machine); what must not is asked once. */
export async function measureMatrix(ping: Ping): Promise<readonly Cell[]> {
  const cells = endpoints.flatMap((from) =>
    targets
      .filter((to) => to.owner !== from.owner)
      .map(async (to): Promise<Cell> => {
        const expected = mustReach(from, to);
        let reached = false;
        for (let i = 0; i < (expected ? ATTEMPTS : 1) && !reached; i++) reached = await ping(from, to);
        return { from, to, reached, expected };
      }),
  );
  return await Promise.all(cells);
}

/** One echo by the system's ping in the namespace; only its exit status is read. */
export async function pingFrom(netnsPath: string, address: string): Promise<boolean> {
  const ping = ["ping", "-n", "-q", "-c", "1", "-W", "1", address];
  const { ended } = await runProgram("nsenter", [`--net=${netnsPath}`, ...ping], { timeoutMs: 10_000 });
  if (ended === 127) throw new Error("nsenter finds no ping"); // util-linux: the exit code of a command that is not there
  return ended === 0;
}

/** The matrix as lines of text: `yes`, `-` where nothing must arrive and nothing does, and `!!` where that is wrong. */
export function formatMatrix(cells: readonly Cell[]): readonly string[] {
  const width = Math.max(...targets.map(({ label }) => label.length)) + 2;
  const head = "".padEnd(width) + targets.map(({ label }) => label.padEnd(width)).join("");
  const rows = endpoints.map((from) => {
    const marks = targets.map((to) => {
      const cell = cells.find((c) => c.from === from && c.to === to);
      if (!cell) return "".padEnd(width);
      const mark = cell.reached ? "yes" : "-";
      return (cell.reached === cell.expected ? mark : `${mark} !!`).padEnd(width);
    });
    return from.label.padEnd(width) + marks.join("");
  });
  return [head.trimEnd(), ...rows.map((row) => row.trimEnd())];
}
