/** A host under test whose uplink is a bond: its intent, its parts as the kernel has them, and a workload's stream of frames. */
import { execFile } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import type { ExecutionContext } from "ava";
import type { Link } from "../../daemon/kernel/kernel.ts";
import { bondModes } from "../../daemon/model/bond-options.ts";
import type { ClusterNetworkStatus } from "../../daemon/model/status.ts";
import { BROADCAST, frame, station, text } from "../peers/frames.ts";
import { CLUSTER_NETWORK, type Pod, type Tap, tap, TestHost, type TestHostOptions } from "./test-host.ts";
import type { TestNic } from "./wired-host.ts";
import { until } from "./until.ts";

const run = promisify(execFile);

export const NICS = ["nic0", "nic1"];
export const BOTH: readonly TestNic[] = NICS.map((name) => ({ name }));

/** `options` of the bond, `link` attributes */
export function bondText(
  nics: readonly string[],
  options: Readonly<Record<string, unknown>> = {},
  link: Readonly<Record<string, unknown>> = {},
  name = "oob",
): string {
  const uplink = { nics, linkAttributes: { mtu: 1500, ...link }, bondOptions: options };
  return `${CLUSTER_NETWORK(name)}---
apiVersion: network.harvesterhci.io/v1beta1
kind: VlanConfig
metadata: { name: ${name}-uplink }
spec: { clusterNetwork: ${name}, uplink: ${JSON.stringify(uplink)} }
`;
}

/** New files, and the signal to read them. */
export async function change(h: TestHost, intent: string): Promise<void> {
  await writeFile(join(h.directory, "intent.yaml"), intent);
  process.kill(h.daemon.pid, "SIGHUP");
}

export async function bondOf(h: TestHost, name = "oob-bo"): Promise<Link> {
  const bond = await h.host.namespace.link({ name });
  if (bond === null) throw new Error(`there is no ${name}`);
  return bond;
}

export async function modeOf(h: TestHost): Promise<string | undefined> {
  return bondModes[Number((await bondOf(h)).data["mode"])];
}

export async function membersOf(h: TestHost, bond = "oob-bo"): Promise<readonly string[]> {
  const { ifindex } = await bondOf(h, bond);
  return (await h.host.namespace.links()).filter(({ master }) => master === ifindex).map(({ name }) => name);
}

/** "nic0 active", "nic1 backup" */
export async function memberStates(h: TestHost): Promise<readonly string[]> {
  return (await clusterNetwork(h)).members.map(({ nic, device, state }) => `${nic || device} ${state}`);
}

export async function clusterNetwork(h: TestHost): Promise<ClusterNetworkStatus> {
  const [found] = (await h.status()).clusterNetworks;
  if (found === undefined) throw new Error("there is no cluster network");
  return found;
}

/** iproute2 on the host, and among the far ends of its NICs. */
export const hostIp = (h: TestHost, ...args: string[]) => run("nsenter", [`--net=${h.host.path}`, "ip", ...args]);
export const wireIp = (h: TestHost, ...args: string[]) => run("nsenter", [`--net=${h.wire.path}`, "ip", ...args]);

/** A host with a bond, and a workload in VLAN 100 of it. */
export async function bondHost(
  t: ExecutionContext,
  options: Readonly<Record<string, unknown>>,
  more: Partial<TestHostOptions> = {},
): Promise<{ readonly h: TestHost; readonly pod: Pod; readonly inside: Tap }> {
  const h = await TestHost.start(t, { intent: bondText(NICS, options), nics: BOTH, ...more });
  const pod = await h.add("pod", { vlan: 100 });
  return { h, pod, inside: await tap(t, pod.host, "eth0") };
}

export async function farEnds(t: ExecutionContext, h: TestHost): Promise<readonly Tap[]> {
  return await Promise.all(NICS.map((name) => tap(t, h.wire, name)));
}

const INTERVAL_MS = 10;

/** Frames of a workload, one each 10 ms, numbered; and where they come out. */
export class Stream {
  readonly #exits: { readonly tap: Tap; seen: number }[];
  readonly #received = new Set<number>();
  readonly #timer: NodeJS.Timeout;
  #sent = 0;

  constructor(t: ExecutionContext, from: Tap, exits: readonly Tap[]) {
    this.#exits = exits.map((one) => ({ tap: one, seen: 0 }));
    this.#timer = setInterval(() => {
      const payload = text(`number ${this.#sent++}.`);
      void from.send(frame({ dst: BROADCAST, src: station(1), payload })).catch(() => undefined);
    }, INTERVAL_MS);
    t.teardown(() => this.stop());
  }

  /** Frames that were lost from before the event until those that are sent after it arrive; each stands for 10 ms. */
  async over(event: () => Promise<unknown> = async () => undefined): Promise<number> {
    const from = this.#sent;
    await event();
    const after = this.#sent;
    await until(() => this.#countFrom(after) >= 5);
    const last = Math.max(...this.#received);
    return last + 1 - from - this.#countFrom(from);
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #countFrom(number: number): number {
    for (const exit of this.#exits) {
      for (const { data } of exit.tap.frames.slice(exit.seen)) {
        const match = /number (\d+)\./.exec(Buffer.from(data).toString("latin1"));
        if (match) this.#received.add(Number(match[1]));
      }
      exit.seen = exit.tap.frames.length;
    }
    let count = 0;
    for (const received of this.#received) if (received >= number) count++;
    return count;
  }
}
