/**
 * A daemon's inner parts over a real kernel, in a process that can die at a chosen write and begin again: what a kill or
 * a power cut leaves, without the time that a whole daemon takes to start.
 */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { ExecutionContext } from "ava";
import { EbpfDatapath } from "../../daemon/datapath/ebpf/ebpf-datapath.ts";
import type { LabHost } from "../../daemon/demo/lab.ts";
import { IntentControl } from "../../daemon/intent-control.ts";
import { IntentSources } from "../../daemon/intent-sources.ts";
import type { Kernel } from "../../daemon/kernel/kernel.ts";
import type { Log } from "../../daemon/log.ts";
import { bpfObjectFile } from "../../daemon/package-files.ts";
import { preparePinRoot } from "../../daemon/pin-root.ts";
import type { Prober } from "../../daemon/probe/prober.ts";
import { Reconciler } from "../../daemon/reconcile/reconciler.ts";
import { transactionHost } from "../../daemon/transaction-host.ts";
import { EBPF, NO_ENDS } from "../peers/model-fixtures.ts";
import { linkState } from "./change.ts";
import { type Death, Mortal } from "./mortal.ts";
import { type TestNic, wiredHost } from "./wired-host.ts";

const silent = Object.fromEntries(
  ["debug", "info", "warn", "error"].map((l) => [l, () => undefined]),
) as unknown as Log;
const noProbes = { reports: () => [], probeNow: async () => [] } as unknown as Prober;
const meters = { countReconcile() {}, setDrift() {}, countDeleted() {}, countRepairs() {} };

/** What outlives a process: the kernel's objects and the disk. */
export interface Bed {
  readonly kernel: Kernel;
  readonly host: LabHost;
  readonly directory: string;
  readonly files: string;
  readonly bonding: boolean;
}

export interface BedOptions {
  /** the operator's files */
  readonly intent: string;
  readonly nics: readonly TestNic[];
  /** the kernel can make bonds */
  readonly bonding: boolean;
}

export async function makeBed(t: ExecutionContext, { intent, nics, bonding }: BedOptions): Promise<Bed> {
  const { kernel, host, directory } = await wiredHost(t, nics);
  preparePinRoot(kernel, join(directory, "bpf"));
  const files = join(directory, "intent.yaml");
  await writeFile(files, intent);
  return { kernel, host, directory, files, bonding };
}

export interface Life {
  readonly mortal: Mortal;
  readonly control: IntentControl;
  /** of roll-backs in this life */
  readonly causes: readonly string[];
  /** all that can be set on links and ports */
  state(): Promise<unknown>;
  /** nothing is left but what is in the kernel and on disk */
  end(): Promise<void>;
}

/** A process from its start on. `armed`: writes of the start count already. */
export async function life(bed: Bed, death: Death, armed = false): Promise<Life & { readonly started: Promise<void> }> {
  const { kernel, host, directory, files, bonding } = bed;
  const mortal = new Mortal(death);
  const real = await kernel.enter(host.handle);
  const namespace = mortal.namespace(real);
  const pinRoot = join(directory, "bpf");
  const datapath = await EbpfDatapath.open({ kernel, namespace, pinRoot, objectFile: bpfObjectFile() });
  const reconciler = new Reconciler({
    ...{ namespace, datapath, log: silent, meters, bonding },
    ...{ switching: EBPF, leases: () => new Map(), ends: NO_ENDS },
  });
  const causes: string[] = [];
  const sources = new IntentSources({ intent: [files], nodeName: "n", nodeLabels: {}, stateDirectory: directory });
  const control = new IntentControl({
    host: transactionHost({ reconciler, prober: noProbes, onRound: async () => undefined }),
    ...{ sources, epoch: "test", log: silent },
    onRollback: (cause) => causes.push(cause),
    onConditions: () => undefined,
  });
  if (armed) mortal.arm();
  return {
    ...{ mortal, control, causes },
    started: control.start(await sources.look()),
    state: async () => {
      const links = await linkState(real);
      const names = new Map((await real.links()).map(({ ifindex, name }) => [ifindex, name]));
      const ports = (await datapath.observe()).map(({ ifindex, config, attached }) => {
        return { name: names.get(ifindex) ?? "", ...config, switchId: 0, attached, allowed: `${config.allowed}` };
      });
      return { links: withoutIds(links), ports: ports.toSorted((a, b) => (a.name < b.name ? -1 : 1)) };
    },
    end: async () => {
      // No timer of it may outlive it. A dead one answers nothing any more.
      await Promise.race([control.close(), mortal.died]);
      await real.close();
    },
  };
}

/** One that lives through its start. */
export async function livingOn(bed: Bed, death: Death = { at: 0, moment: "after" }): Promise<Life> {
  const it = await life(bed, death);
  await it.started;
  return it;
}

/** A switch that comes back may have another number. */
function withoutIds(links: readonly object[]): unknown {
  return JSON.parse(JSON.stringify(links).replaceAll(/ switch \d+/g, ""));
}

/**
 * A change that dies at its first write, at its second, and so on until it has no such write: after each the next start
 * must have undone all of it. Returns the number of deaths.
 */
export async function dieEverywhere(
  t: ExecutionContext,
  bed: Bed,
  text: string,
  moment: Death["moment"],
): Promise<number> {
  const texts = [{ file: "after.yaml", text }];
  let before: unknown;
  for (let at = 1; ; at++) {
    // Each life sees what the death before it left, and then dies one write later.
    const one = await livingOn(bed, { at, moment });
    let survived: boolean;
    try {
      if (at === 1) before = await one.state();
      else {
        t.deepEqual(await one.state(), before, `death ${moment} write ${at - 1}`);
        t.deepEqual(one.causes, ["crash"], `death ${moment} write ${at - 1}`);
      }
      one.mortal.arm();
      const change = one.control.apply({ texts });
      survived = await Promise.race([change.then(() => true), one.mortal.died.then(() => false)]);
    } finally {
      await one.end();
    }
    if (!survived) continue;
    const after = await livingOn(bed);
    t.notDeepEqual(await after.state(), before, "without a death it is in force");
    await after.end();
    return at - 1;
  }
}
