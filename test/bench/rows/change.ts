/** A change of intent through the admin socket, and a round that finds nothing to do. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { CLUSTER_NETWORK, UPLINK } from "../../support/test-host.ts";
import { attachCrowd, CROWD, CROWD_INTENT } from "../crowd.ts";
import { bareStart, BenchDaemon, call, network } from "../daemon.ts";
import type { Figure } from "../figure.ts";
import { column, type Contender, interleave, type Sample } from "../rounds.ts";
import type { Row, RowContext } from "../row.ts";
import { median, ratios } from "../stats.ts";

const NODE = "bare node";
const IP = "ip -json link";
const HEAD = `${CLUSTER_NETWORK("oob")}---${UPLINK("oob", "nic0")}`;

type Samples = Readonly<Record<string, readonly Sample[]>>;

export const change: Row = {
  name: "change",
  run: async (context) => {
    const { scope, quick, log } = context;
    const { host, directory } = await BenchDaemon.prepare(scope, CROWD_INTENT);
    const daemon = await BenchDaemon.spawn(scope, host, directory);
    const file = join(directory, "intent.yaml");
    const options = { warmups: 1, counted: quick ? 5 : 9, signal: scope.signal };
    const node: Contender = { name: NODE, measure: async () => ({ ...(await bareStart()) }) };

    const hundred = await interleave([planAndApply(daemon, file, [0, 100]), node], options);
    const oneMore = await interleave([planAndApply(daemon, file, [1000, 1001]), node], options);
    await writeFile(file, `${HEAD}---${CROWD_INTENT}`);
    await apply(daemon);
    log(`  attaching ${CROWD} ports …`);
    await attachCrowd(scope, daemon);
    const quiet = await interleave([noOp(context, daemon, host.path), links(context, host.path)], options);

    return {
      figures: [
        figure("plan + apply of 100 networks", hundred, [planAndApply.name, "wall"], [NODE, "wall"], 500),
        figure("plan + apply of 1 among 1,000", oneMore, [planAndApply.name, "wall"], [NODE, "wall"], 500),
        figure(`round with nothing to do, ${CROWD} ports`, quiet, [noOp.name, "wall"], [IP, "wall"], 100),
      ],
      notes: [
        "POST /v1/plan and /v1/apply of the daemon's files: read, compiled, compared, verified, and kept with fsync",
        "a round is timed by the daemon itself (portwright_reconcile_duration_seconds), brought on by an address that " +
          `comes to the uplink's NIC; the peer is a process that prints the same ${CROWD} links`,
      ],
      samples: { hundred, oneMore, quiet },
    };
  },
};

/** From the first number of networks to the second; the way back is not counted. */
function planAndApply(daemon: BenchDaemon, file: string, [from, to]: readonly [number, number]): Contender {
  const intent = (count: number): string =>
    [HEAD, ...Array.from({ length: count }, (_, n) => network(`n${n}`, 2 + n))].join("---");
  return {
    name: planAndApply.name,
    measure: async () => {
      await writeFile(file, intent(from));
      await apply(daemon);
      await writeFile(file, intent(to));
      const begun = performance.now();
      await call(daemon.adminSocket, "GET", "/v1/plan");
      await apply(daemon);
      return { wall: (performance.now() - begun) / 1000 };
    },
  };
}

async function apply(daemon: BenchDaemon): Promise<void> {
  await call(daemon.adminSocket, "POST", "/v1/apply", {});
}

function noOp({ scope }: RowContext, daemon: BenchDaemon, netns: string): Contender {
  const nic = async (verb: string): Promise<void> => {
    await scope.run("nsenter", [`--net=${netns}`, "ip", "address", verb, "192.0.2.1/24", "dev", "nic0"]);
  };
  return {
    name: noOp.name,
    measure: async () => {
      const before = await rounds(daemon);
      await nic("add");
      let after = before;
      while (after.count === before.count) {
        scope.signal.throwIfAborted();
        after = await rounds(daemon);
      }
      await nic("del");
      let end = after;
      while (end.count === after.count) {
        scope.signal.throwIfAborted();
        end = await rounds(daemon);
      }
      return { wall: (end.seconds - before.seconds) / (end.count - before.count) };
    },
  };
}

function links({ scope }: RowContext, netns: string): Contender {
  return {
    name: IP,
    measure: async () => {
      const begun = performance.now();
      await scope.run("nsenter", [`--net=${netns}`, "ip", "-json", "-details", "link"]);
      return { wall: (performance.now() - begun) / 1000 };
    },
  };
}

/** What the daemon has counted of its rounds. */
async function rounds(daemon: BenchDaemon): Promise<{ count: number; unchanged: number; seconds: number }> {
  const { http } = JSON.parse(await call(daemon.readSocket, "GET", "/v1/status")) as { http: string };
  const text = await (await fetch(`${http}/metrics`)).text();
  const sum = (pattern: RegExp): number =>
    [...text.matchAll(pattern)].reduce((all, match) => all + Number(match[1]), 0);
  return {
    count: sum(/^portwright_reconcile_duration_seconds_count (\S+)$/gm),
    seconds: sum(/^portwright_reconcile_duration_seconds_sum (\S+)$/gm),
    unchanged: sum(/^portwright_reconcile_total\{result="unchanged"\} (\S+)$/gm),
  };
}

function figure(
  what: string,
  samples: Samples,
  ours: readonly [string, string],
  peer: readonly [string, string],
  must: number,
): Figure {
  const ms = (of: readonly [string, string]): readonly number[] => column(samples, ...of).map((s) => s * 1000);
  const [mine, others] = [ms(ours), ms(peer)];
  return {
    ...{ what, ours: median(mine), peer: median(others), unit: "ms", peerName: peer[0] },
    ...{ ratio: ratios(mine, others), bound: { sense: "at-most", must, aim: must / 2, unit: "ms" }, judged: "ours" },
  };
}
