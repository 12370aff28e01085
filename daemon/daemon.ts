/**
 * The daemon: everything put together, in the order of a start, and taken apart in the reverse. Each room knows only
 * the interfaces of its neighbours; this file knows them all.
 */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import type { ApplyRequest, AttachRequest, Backend, PortwrightEvent } from "./api/backend.ts";
import { countKernelWrites } from "./api/metrics/kernel-writes.ts";
import { createMetrics, type Metrics } from "./api/metrics/registry.ts";
import { AttachService } from "./attach/attach-service.ts";
import type { CniReply, CniRequest } from "./attach/cni-request.ts";
import { DeleteQueue } from "./attach/delete-queue.ts";
import { currentEpoch } from "./attach/epoch.ts";
import { BlockFiles } from "./state/block-files.ts";
import { Masquerade } from "./attach/masquerade.ts";
import { ContainerEnds } from "./attach/workload-ends.ts";
import { PortMakers } from "./attach/port-makers.ts";
import { Records } from "./attach/records.ts";
import { ConditionNews } from "./condition-news.ts";
import type { Datapath } from "./datapath/datapath.ts";
import { type DirectoryLock, lockOrRefuse } from "./directory-lock.ts";
import { askFeatures, type KernelFeatures } from "./kernel/features.ts";
import { HostDhcp } from "./host-dhcp.ts";
import { hostKey } from "./host-key.ts";
import { HostReport } from "./host-report.ts";
import { HostWatch } from "./host-watch.ts";
import { IntentControl } from "./intent-control.ts";
import { type FoundIntent, IntentSources } from "./intent-sources.ts";
import type { Kernel, Namespace, NetnsHandle } from "./kernel/kernel.ts";
import { LocalPorts } from "./local/local-ports.ts";
import type { Log } from "./log.ts";
import { hasPins, openDatapath } from "./open-datapath.ts";
import { wireObjectFile } from "./package-files.ts";
import { preparePinRoot } from "./pin-root.ts";
import { Prober } from "./probe/prober.ts";
import { probeTargets } from "./probe-targets.ts";
import { networkHealth } from "./reconcile/network-health.ts";
import { Reconciler } from "./reconcile/reconciler.ts";
import { WorkloadPorts } from "./reconcile/workload-ports.ts";
import type { Settings } from "./settings.ts";
import { transactionHost } from "./transaction-host.ts";
import { Upkeep } from "./upkeep.ts";
import { VERSION } from "./version.ts";

export class Daemon implements Backend {
  readonly #log: Log;
  readonly #handle: NetnsHandle;
  readonly #namespace: Namespace;
  readonly #datapath: Datapath;
  readonly #locks: readonly DirectoryLock[];
  readonly #reconciler: Reconciler;
  readonly #attach: AttachService;
  readonly #masquerade: Masquerade;
  readonly #prober: Prober;
  readonly #watch: HostWatch;
  readonly #metrics: Metrics;
  readonly #control: IntentControl;
  readonly #report: HostReport;
  readonly #upkeep: Upkeep;
  readonly #dhcp: HostDhcp;
  readonly #news = new ConditionNews((condition) => {
    this.#log.warn(condition, "condition");
    this.#emit({ type: "condition", time: now(), ...condition });
  });
  readonly #listeners = new Set<(event: PortwrightEvent) => void>();
  /** URL of the HTTP listener, once it is there */
  httpAddress: string | null = null;

  /** Resolves when the host is as wanted and attach requests can be taken. */
  static async start(settings: Settings, kernel: Kernel, log: Log): Promise<Daemon> {
    const sources = new IntentSources(settings);
    await sources.check();
    const handle = settings.netns === null ? kernel.ownNetns() : kernel.openNetns(settings.netns);
    const undo: (() => unknown)[] = [() => handle.close()];
    try {
      const usesPins = settings.datapath === "ebpf" || hasPins(kernel, settings.pinRoot);
      if (usesPins) preparePinRoot(kernel, settings.pinRoot);
      mkdirSync(settings.stateDirectory, { recursive: true, mode: 0o700 });
      // Before anything is changed: a second daemon would undo what the first one is about to do.
      const locks = [settings.stateDirectory, ...(usesPins ? [settings.pinRoot] : [])].map((directory) => {
        const lock = lockOrRefuse(kernel, directory);
        undo.push(() => lock.release());
        return lock;
      });
      // What is wrong with the intent is said before anything is made in the kernel.
      const found = await sources.look();
      const namespace = await kernel.enter(handle);
      undo.push(() => namespace.close());
      const features = await askFeatures(kernel, handle);
      const datapath = await openDatapath({ settings, kernel, namespace, features });
      undo.push(() => datapath.close());
      const self = new Daemon(settings, sources, kernel, features, log, handle, namespace, datapath, locks);
      undo.push(() => self.#stopWork());
      await self.#begin(found);
      return self;
    } catch (error) {
      for (const step of undo.toReversed()) await step();
      throw error;
    }
  }

  private constructor(
    settings: Settings,
    sources: IntentSources,
    kernel: Kernel,
    features: KernelFeatures,
    log: Log,
    handle: NetnsHandle,
    namespace: Namespace,
    datapath: Datapath,
    locks: readonly DirectoryLock[],
  ) {
    this.#log = log;
    this.#handle = handle;
    this.#namespace = namespace;
    this.#datapath = datapath;
    this.#locks = locks;
    this.#metrics = createMetrics({
      sources: {
        counters: () => this.counters(),
        ports: () => this.ports(),
        status: () => this.status(),
        mapUse: () => this.mapUse(),
        fdbCounts: () => datapath.fdbCounts(),
      },
      version: VERSION,
      onError: (source, error) => log.warn({ source, error }, "a source of metrics failed"),
    });
    const { meters, registry } = this.#metrics;
    countKernelWrites(registry, namespace);
    const records = new Records(new BlockFiles(join(settings.stateDirectory, "attachments")), log);
    const ends = new ContainerEnds({ records, kernel, host: namespace });
    const switching = { datapath: settings.datapath, ...features, hostKey: hostKey(settings.nodeName) };
    this.#reconciler = new Reconciler({
      ends,
      onAsk: (cause) => this.#watch.ask(cause),
      bonding: features.bonding,
      switching,
      leases: () => this.#dhcp.leases,
      namespace,
      datapath,
      log,
      meters,
      onConditions: () => this.#news.follow(this.#report.conditions),
    });
    this.#prober = new Prober({
      openSocket: (options, onFrames) => namespace.openPacketSocket(options, onFrames),
      log,
      meters: {
        added: () => undefined,
        attempted: ({ network, probe, success, reason, rtt }) =>
          meters.countProbe(network, probe, success ? "success" : (reason ?? "probe-error"), rtt),
        removed: () => undefined,
      },
      onReport: ({ network, probe, success, reason }) =>
        this.#emit({ type: "probe", time: now(), network, probe, success, reason: reason ?? "" }),
    });
    this.#watch = new HostWatch({
      namespace,
      reconciler: this.#reconciler,
      log,
      meters,
      onLink: (type, device) => this.#emit({ type, time: now(), device }),
      onRound: () => this.#afterRound(),
    });
    this.#dhcp = new HostDhcp(settings, handle, log, () => this.#watch.ask("lease"));
    this.#upkeep = new Upkeep({ datapath, reconciler: this.#reconciler, watch: this.#watch, log });
    this.#masquerade = new Masquerade({ namespace, log });
    this.#attach = new AttachService({
      portMaker: new PortMakers(
        new WorkloadPorts({ namespace, datapath, host: this.#reconciler, taps: ends, wireObject: wireObjectFile() }),
        new LocalPorts({ namespace, switching }),
      ),
      records,
      deleteQueue: new DeleteQueue(join(settings.stateDirectory, "deletes")),
      masquerade: this.#masquerade,
      kernel,
      host: { handle, link: (ref) => namespace.link(ref) },
      intent: () => this.#reconciler.intent,
      health: async (name) => networkHealth(await this.#report.facts(), name),
      epoch: currentEpoch(handle),
      log,
      onEvent: (type, attachment) => {
        this.#emit({ type, time: now(), attachment });
        // What was wrong with it is over: say so now, not at the next look.
        if (this.#news.concern(`Attachment/${attachment.id}`)) this.#watch.ask(type);
      },
      // The answer goes first.
      onCniRequest: (...counted) => void setImmediate(() => meters.countCni(...counted)),
    });
    this.#control = new IntentControl({
      host: transactionHost({
        ...{ reconciler: this.#reconciler, prober: this.#prober },
        onRound: () => this.#afterRound(),
      }),
      sources,
      epoch: currentEpoch(handle),
      log,
      onRollback: (cause) => meters.countRollback(cause),
      onConditions: () => this.#news.follow(this.#report.conditions),
    });
    this.#report = new HostReport({
      ...{ settings, datapath, reconciler: this.#reconciler },
      ...{ prober: this.#prober, dhcp: this.#dhcp, control: this.#control },
    });
    datapath.onEvents((events) => {
      for (const event of events) this.#emit({ type: "fdb", time: now(), event });
    });
  }

  async #begin(found: FoundIntent): Promise<void> {
    for (const attachment of this.#attach.list()) {
      if (attachment.state !== "ready") continue;
      if (attachment.localBridge === null) this.#reconciler.register(attachment);
      this.#masquerade.expect(attachment);
    }
    await this.#watch.start();
    await this.#control.start(found);
    await this.#attach.recover();
    this.#upkeep.start();
  }

  /** Reads the intent's files again; what cannot be read leaves the intent as it is, and says so. */
  reload(): Promise<void> {
    return this.#control.reload();
  }

  /** What is pinned goes on switching. */
  async close(): Promise<void> {
    await this.#stopWork();
    await this.#datapath.close();
    await this.#namespace.close();
    for (const lock of this.#locks) lock.release();
    this.#handle.close();
  }

  // ---- Backend

  attach(request: AttachRequest) {
    this.#upkeep.stir();
    return this.#attach.attach(request);
  }
  open(id: string) {
    return this.#attach.open(id);
  }
  detach(id: string): Promise<void> {
    this.#upkeep.stir();
    return this.#attach.detach(id);
  }
  collect() {
    this.#upkeep.stir();
    return this.#attach.collect();
  }
  attachments() {
    return this.#attach.list();
  }
  cni(request: CniRequest): Promise<CniReply> {
    this.#upkeep.stir();
    return this.#attach.cni(request);
  }
  counters() {
    return this.#datapath.counters();
  }
  fdb() {
    return this.#datapath.fdb();
  }
  mapUse() {
    return this.#datapath.mapUse();
  }
  plan(texts: ApplyRequest["texts"]) {
    return this.#control.plan(texts);
  }
  apply(request: ApplyRequest) {
    return this.#control.apply(request);
  }
  confirm() {
    return this.#control.confirm();
  }
  rollBack() {
    return this.#control.rollBack();
  }
  transaction() {
    return this.#control.transaction();
  }
  get metrics() {
    return this.#metrics.registry;
  }
  get meters() {
    return this.#metrics.meters;
  }

  subscribe(listener: (event: PortwrightEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  ports() {
    return this.#report.ports();
  }
  status() {
    return this.#report.status(this.httpAddress ?? "");
  }

  /** The kernel thread answers, or this does not resolve and the watchdog draws its conclusion. */
  async healthy() {
    await this.#namespace.link({ name: "lo" });
    return { ok: true, reasons: [] };
  }

  ready() {
    return Promise.resolve(this.#report.readiness);
  }

  // ---- inside

  async #afterRound(): Promise<void> {
    await this.#masquerade.compare();
    const links = await this.#namespace.links();
    this.#dhcp.follow(this.#reconciler.intent, links);
    const contexts = this.#reconciler.last?.compiled.contexts ?? new Map();
    this.#prober.setTargets(
      probeTargets(this.#reconciler.intent.networks.values(), contexts, links, (name) => this.#watch.hasCarrier(name)),
    );
  }

  async #stopWork(): Promise<void> {
    this.#upkeep.stop();
    this.#attach.close();
    await this.#control.close();
    await this.#prober.close();
    await this.#watch.close();
    await this.#dhcp.close();
  }

  #emit(event: PortwrightEvent): void {
    for (const listener of this.#listeners) listener(event);
  }
}

function now(): string {
  return new Date().toISOString();
}
