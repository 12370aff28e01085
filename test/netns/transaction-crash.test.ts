// The process dies at every single write of a change: the next start finds its way back to the last good intent.
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import test, { type ExecutionContext } from "ava";
import { EbpfDatapath } from "../../daemon/datapath/ebpf/ebpf-datapath.ts";
import { Lab, type LabHost } from "../../daemon/demo/lab.ts";
import { IntentControl } from "../../daemon/intent-control.ts";
import { IntentSources } from "../../daemon/intent-sources.ts";
import type { Kernel } from "../../daemon/kernel/kernel.ts";
import { nativeKernel } from "../../daemon/kernel/native.ts";
import type { Log } from "../../daemon/log.ts";
import { bpfObjectFile } from "../../daemon/package-files.ts";
import { preparePinRoot, removePinRoot } from "../../daemon/pin-root.ts";
import type { Prober } from "../../daemon/probe/prober.ts";
import { Reconciler } from "../../daemon/reconcile/reconciler.ts";
import { transactionHost } from "../../daemon/transaction-host.ts";
import { linkState, PROBED } from "../support/change.ts";
import { type Death, Mortal } from "../support/mortal.ts";
import { CLUSTER_NETWORK, UPLINK } from "../support/test-host.ts";
import { EBPF } from "../peers/model-fixtures.ts";

const BEFORE = PROBED(100);
/** Loses a cluster network with its probe port, gains another on the same NIC with other settings, and a further one. */
const AFTER = `${CLUSTER_NETWORK("late")}---${UPLINK("late", "nic0", 1400).replace("mtu: 1400", "mtu: 1400, txQLen: 777")}---${CLUSTER_NETWORK("third")}`;

const silent = Object.fromEntries(
  ["debug", "info", "warn", "error"].map((l) => [l, () => undefined]),
) as unknown as Log;
const noProbes = { reports: () => [], probeNow: async () => [] } as unknown as Prober;
const meters = { countReconcile() {}, setDrift() {}, countDeleted() {}, countRepairs() {} };

interface Bed {
  readonly kernel: Kernel;
  readonly host: LabHost;
  readonly directory: string;
  readonly files: string;
}

async function bed(t: ExecutionContext): Promise<Bed> {
  const kernel = nativeKernel();
  const lab = new Lab(kernel, `pwtx${process.pid}`);
  const directory = await mkdtemp("/run/pw-test-");
  t.teardown(async () => {
    await lab.dispose();
    removePinRoot(kernel, join(directory, "bpf"));
    await rm(directory, { recursive: true, force: true });
  });
  const host = await lab.host("host");
  const wire = await lab.host("wire");
  await lab.cable({ host, interface: "nic0" }, { host: wire, interface: "nic0" });
  preparePinRoot(kernel, join(directory, "bpf"));
  const files = join(directory, "intent.yaml");
  await writeFile(files, BEFORE);
  return { kernel, host, directory, files };
}

/** What a process has of its own: it ends with `end`, and nothing of it is left but what is in the kernel and on disk. */
async function life({ kernel, host, directory, files }: Bed, death: Death) {
  const mortal = new Mortal(death);
  const real = await kernel.enter(host.handle);
  const namespace = mortal.namespace(real);
  const pinRoot = join(directory, "bpf");
  const datapath = await EbpfDatapath.open({ kernel, namespace, pinRoot, objectFile: bpfObjectFile() });
  const reconciler = new Reconciler({
    namespace,
    datapath,
    log: silent,
    meters,
    bonding: false,
    switching: EBPF,
    leases: () => new Map(),
  });
  const causes: string[] = [];
  const onRound = async () => undefined;
  const sources = new IntentSources({ intent: [files], nodeName: "n", nodeLabels: {}, stateDirectory: directory });
  const control = new IntentControl({
    host: transactionHost({ namespace, reconciler, prober: noProbes, log: silent, onRound }),
    ...{ sources, epoch: "test", log: silent },
    onRollback: (cause) => causes.push(cause),
    onConditions: () => undefined,
  });
  await control.start(await sources.look());
  return {
    ...{ mortal, control, causes },
    state: async () => {
      const links = await linkState(real);
      const names = new Map((await real.links()).map(({ ifindex, name }) => [ifindex, name]));
      const ports = (await datapath.observe()).map(({ ifindex, config, attached }) => {
        return { name: names.get(ifindex) ?? "", ...config, switchId: 0, attached, allowed: `${config.allowed}` };
      });
      return { links: withoutIds(links), ports: ports.toSorted((a, b) => (a.name < b.name ? -1 : 1)) };
    },
    end: () => real.close(),
  };
}

/** A switch that comes back may have another number. */
function withoutIds(links: readonly object[]): unknown {
  return JSON.parse(JSON.stringify(links).replaceAll(/ switch \d+/g, ""));
}

for (const moment of ["before", "after"] as const) {
  test.serial(`a death ${moment} any write of a change: the next start undoes it wholly`, async (t) => {
    t.timeout(240_000);
    const here = await bed(t);
    const texts = [{ file: "after.yaml", text: AFTER }];
    let last = await life(here, { at: 0, moment });
    const before = await last.state();
    let deaths = 0;
    for (let at = 1; ; at++) {
      await last.end();
      const doomed = await life(here, { at, moment });
      doomed.mortal.arm();
      const change = doomed.control.apply({ texts });
      const survived = await Promise.race([change.then(() => true), doomed.mortal.died.then(() => false)]);
      if (survived) {
        await doomed.end();
        break;
      }
      deaths++;
      await doomed.end();
      last = await life(here, { at: 0, moment });
      t.deepEqual(await last.state(), before, `death ${moment} write ${at}`);
      t.deepEqual(last.causes, ["crash"], `death ${moment} write ${at}`);
    }
    t.true(deaths >= 10, `${deaths} writes`);
    const after = await life(here, { at: 0, moment });
    t.notDeepEqual(await after.state(), before, "without a death it is in force");
    await after.end();
  });
}

test.serial("a death at any write of the way back: the next start goes it again", async (t) => {
  t.timeout(240_000);
  const here = await bed(t);
  const texts = [{ file: "after.yaml", text: AFTER }];
  let last = await life(here, { at: 0, moment: "before" });
  const before = await last.state();
  let deaths = 0;
  for (let at = 1; ; at++) {
    await last.control.apply({ texts, confirm: 600 });
    await last.end();
    const doomed = await life(here, { at: 0, moment: "before" }); // undoes it by the checkpoint
    await doomed.control.apply({ texts, confirm: 600 });
    await doomed.end();
    const mortal = await lifeThatDiesAtStart(here, at);
    deaths += mortal ? 1 : 0;
    last = await life(here, { at: 0, moment: "before" });
    t.deepEqual(await last.state(), before, `death at write ${at} of the way back`);
    if (!mortal) break;
  }
  await last.end();
  t.true(deaths >= 10, `${deaths} writes`);
});

/** true: it died; false: the start had fewer writes */
async function lifeThatDiesAtStart({ kernel, host, directory, files }: Bed, at: number): Promise<boolean> {
  const mortal = new Mortal({ at, moment: "after" });
  const real = await kernel.enter(host.handle);
  const namespace = mortal.namespace(real);
  const pinRoot = join(directory, "bpf");
  const datapath = await EbpfDatapath.open({ kernel, namespace, pinRoot, objectFile: bpfObjectFile() });
  const reconciler = new Reconciler({
    namespace,
    datapath,
    log: silent,
    meters,
    bonding: false,
    switching: EBPF,
    leases: () => new Map(),
  });
  const sources = new IntentSources({ intent: [files], nodeName: "n", nodeLabels: {}, stateDirectory: directory });
  const control = new IntentControl({
    host: transactionHost({ namespace, reconciler, prober: noProbes, log: silent, onRound: async () => undefined }),
    ...{ sources, epoch: "test", log: silent },
    onRollback: () => undefined,
    onConditions: () => undefined,
  });
  mortal.arm();
  const survived = await Promise.race([
    control.start(await sources.look()).then(() => true),
    mortal.died.then(() => false),
  ]);
  await real.close();
  return !survived;
}
