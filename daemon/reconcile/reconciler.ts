/**
 * Keeps the host as intent and attachments want it: observe, compile, diff, apply; at start, when intent changes, when
 * the kernel reports that something moved, and now and then in case it did not. An attach does not wait for that round:
 * it makes its own port and has the uplink's VLANs refreshed.
 */
import type { HostInterface } from "../attach/port-maker.ts";
import type { WorkloadEnds } from "../attach/workload-ends.ts";
import { Limiter } from "../async/limiter.ts";
import type { Datapath } from "../datapath/datapath.ts";
import { PortwrightError } from "../errors.ts";
import type { Namespace } from "../kernel/kernel.ts";
import type { Log } from "../log.ts";
import type { Workload } from "../model/attachment.ts";
import { concernsAdopted } from "../model/adoption.ts";
import { type Compiled, compile } from "../model/compile.ts";
import { diff } from "../model/diff.ts";
import { isAgainst, routedKey } from "../model/gateways.ts";
import { hostVlans } from "../model/host-networks.ts";
import type { Lease } from "../model/lease.ts";
import { describe } from "../model/describe.ts";
import type { Plan } from "../model/plan.ts";
import { membership, samePort } from "../model/port.ts";
import { compileUplinkPort, probedVlans, type SwitchContext } from "../model/ports.ts";
import { DEFAULT_NATIVE_VLAN, type Intent, NO_INTENT } from "../model/resources.ts";
import type { Switching } from "../model/switching.ts";
import { restorations, type SavedLink } from "../model/saved-links.ts";
import { observedSwitchIds } from "../model/switch-ids.ts";
import type { Condition, Observed, TargetPort } from "../model/target.ts";
import { VlanSet } from "../model/vlan-set.ts";
import { messageOf } from "../thrown.ts";
import { apply, type StepFailure } from "./apply.ts";
import { serveGateways } from "./gateways.ts";
import { observe } from "./observer.ts";
import { WorkloadRegistry } from "./workload-registry.ts";
import type { WorkloadPortsHost } from "./workload-ports.ts";

export interface ReconcileMeters {
  countReconcile(result: "applied" | "unchanged" | "failed", seconds: number): void;
  setDrift(objects: number): void;
  /** steps that put right what somebody else had changed */
  countRepairs(steps: number): void;
  countDeleted(kind: "link" | "port"): void;
}

export interface ReconcilerOptions {
  /** the kernel can make bonds */
  readonly bonding: boolean;
  readonly switching: Switching;
  /** from DHCP servers, by device, in force now */
  readonly leases: () => ReadonlyMap<string, Lease>;
  readonly namespace: Namespace;
  readonly datapath: Datapath;
  readonly log: Log;
  readonly meters: ReconcileMeters;
  readonly ends: WorkloadEnds;
  /** to be asked for a round that can wait a moment */
  readonly onAsk?: (cause: string) => void;
  readonly onConditions?: (conditions: readonly Condition[]) => void;
}

/** What a round would do, before its first step. */
export interface Preview {
  readonly observation: Observed;
  readonly compiled: Compiled;
  readonly plan: Plan;
}

export interface Round extends Omit<Preview, "observation"> {
  readonly failures: readonly StepFailure[];
}

/** Rounds that carry a decision out; all others put right what drifted. */
const DELIBERATE: ReadonlySet<string> = new Set(["intent", "verify", "lease", "rest"]);

export class Reconciler implements WorkloadPortsHost {
  readonly #options: ReconcilerOptions;
  /** one change of the whole at a time */
  readonly #mutex = new Limiter(1);
  readonly #workloads = new WorkloadRegistry();
  /** whose gateways are kept for the next workload: of those that went since the host was at rest, one of a kind */
  readonly #lingering = new Map<string, Workload>();
  #intent: Intent = NO_INTENT;
  /** container ends that did not get an MTU: not tried again before something else happens */
  readonly #unreached = new Map<string, { readonly mtu: number; readonly message: string }>();
  #generation = { desired: 0, applied: 0 };
  #last: Round | null = null;

  constructor(options: ReconcilerOptions) {
    this.#options = options;
  }

  get intent(): Intent {
    return this.#intent;
  }
  get workloads(): ReadonlyMap<string, Workload> {
    return this.#workloads.byId;
  }
  get generation(): { readonly desired: number; readonly applied: number } {
    return this.#generation;
  }
  /** null before the first round */
  get last(): Round | null {
    return this.#last;
  }
  get conditions(): readonly Condition[] {
    const failed = (this.#last?.failures ?? []).map(({ step, error }) => ({
      code: error instanceof PortwrightError ? error.code : "KERNEL",
      object: describe(step),
      message: messageOf(error),
    }));
    return [...(this.#last?.compiled.target.conditions ?? []), ...failed];
  }

  /** From now on this is wanted. `gate` sees what will be done before the first step, and prevents all of it by throwing. */
  setIntent(intent: Intent, gate?: (preview: Preview) => Promise<void>): Promise<Round> {
    return this.#mutex.run(async () => {
      const preview = await this.#preview(intent);
      await gate?.(preview);
      this.#intent = intent;
      for (const workload of [...this.#workloads.byId.values()]) this.register(workload); // the native VLAN may be another
      this.#generation = { ...this.#generation, desired: this.#generation.desired + 1 };
      // Workloads that came while the gate thought: their ports are as the intent was then.
      return await this.#round("intent", gate ? undefined : preview);
    });
  }

  /** One round. A plan without steps writes nothing. */
  reconcile(cause: string): Promise<Round> {
    return this.#mutex.run(() => {
      if (cause !== "verify") this.#unreached.clear();
      return this.#round(cause);
    });
  }

  /** Puts back what a change had overwritten and no intent names. One that fails does not stop the others. */
  restore(saved: readonly SavedLink[]): Promise<void> {
    return this.#mutex.run(async () => {
      const { namespace, datapath, ends, log } = this.#options;
      const steps = saved.length === 0 ? [] : restorations(saved, await namespace.links());
      const failures = await apply({ steps }, namespace, datapath, ends);
      if (steps.length > 0) log.info({ steps: steps.map(describe) }, "settings put back");
      for (const { step, error } of failures)
        log.error({ step: describe(step), err: error }, "settings cannot be put back");
    });
  }

  /** What setIntent() would do now; nothing is changed. */
  preview(intent: Intent): Promise<Preview> {
    return this.#preview(intent);
  }

  // ---- what an attach needs

  switchOf(clusterNetwork: string): SwitchContext {
    const context = this.#last?.compiled.contexts.get(clusterNetwork);
    if (context) return context;
    throw new PortwrightError("BRIDGE_UNKNOWN", `there is no cluster network ${clusterNetwork} on this host`);
  }

  register(workload: Workload): void {
    this.#workloads.set(workload, this.#vlansOf(workload));
  }

  serveGateways(workload: Workload, forceAddress: boolean): Promise<HostInterface> {
    return this.#mutex.run(async () => {
      this.register(workload);
      const { nativeVlan } = this.switchOf(workload.clusterNetwork);
      for (const [key, one] of this.#lingering) if (isAgainst(one, workload, nativeVlan)) this.#lingering.delete(key);
      const last = this.#last as Round;
      const { compiled } = last;
      const world = { ...this.#options, leases: this.#options.leases(), intent: this.#intent, compiled };
      const { target, gateway } = await serveGateways(workload, forceAddress, {
        ...world,
        workloads: [...this.#workloads.byId.values(), ...this.#lingering.values()],
      });
      this.#last = { ...last, compiled: { ...compiled, target } };
      return gateway;
    });
  }

  portOf(hostInterface: string): Workload | undefined {
    return this.#workloads.portOf(hostInterface);
  }

  ask(cause: string): void {
    this.#options.onAsk?.(cause);
  }

  unregister(id: string): void {
    const workload = this.#workloads.delete(id);
    if (workload !== undefined && workload.gateways.length > 0) this.#lingering.set(routedKey(workload), workload);
  }

  /** The uplink carries what is in demand now, no more and no less. */
  refreshUplink(clusterNetwork: string): Promise<void> {
    return this.#mutex.run(async () => {
      const context = this.#last?.compiled.contexts.get(clusterNetwork);
      if (!this.#last || !context || context.uplink === "") return;
      const { compiled } = this.#last;
      const known = compiled.target.ports.get(context.uplink);
      const demand = context.kept === undefined ? this.#demandOf(context) : this.#growthOf(context, known);
      const wanted = compileUplinkPort(demand, context);
      if (known && samePort(known.config, wanted.config)) return;
      const link = await this.#options.namespace.link({ name: context.uplink });
      if (!link) return; // the next round will say that it is gone
      await this.#options.datapath.setPort(link.ifindex, wanted.config);
      const ports = new Map(compiled.target.ports).set(context.uplink, wanted);
      this.#last = { ...this.#last, compiled: { ...compiled, target: { ...compiled.target, ports } } };
    });
  }

  #demandOf({ clusterNetwork, nativeVlan }: SwitchContext): VlanSet {
    const demand = this.#workloads.demandOf(clusterNetwork);
    const probed = probedVlans(this.#intent.networks.values(), clusterNetwork, nativeVlan);
    return demand.union(probed).union(hostVlans(this.#intent.hostNetworkConfigs.values(), clusterNetwork));
  }

  /** From a bridge that was taken over only a round takes VLANs: it looks first who else uses them. */
  #growthOf({ clusterNetwork, nativeVlan }: SwitchContext, known: TargetPort | undefined): VlanSet {
    const own = [...this.#workloads.byId.values()].filter((workload) => workload.clusterNetwork === clusterNetwork);
    const vlans = own.map((workload) => membership(workload.vlans, nativeVlan).allowed);
    return vlans.reduce((all, one) => all.union(one), known?.config.allowed ?? VlanSet.empty);
  }

  /** Takes off what was kept for the next workload: VLANs of uplinks and gateways that nobody uses any more. */
  async prune(): Promise<void> {
    for (const name of this.#last?.compiled.contexts.keys() ?? []) await this.refreshUplink(name);
    if (this.#lingering.size === 0) return;
    this.#lingering.clear();
    await this.reconcile("rest");
  }

  observe(): Promise<Observed> {
    return observe(this.#options.namespace, this.#options.datapath);
  }

  async #preview(intent: Intent): Promise<Preview> {
    const observation = await this.observe();
    const isConcerned = concernsAdopted(intent.clusterNetworks.values(), observation.links);
    const compiled = compile({
      intent,
      vlans: isConcerned ? await this.#options.namespace.bridgeVlans() : [],
      attachments: this.#workloads.byId.values(),
      lingering: [...this.#lingering.values()],
      ...observation,
      bonding: this.#options.bonding,
      switching: this.#options.switching,
      leases: this.#options.leases(),
      switchIds: observedSwitchIds(observation),
      unreached: this.#unreached,
    });
    return { observation, compiled, plan: diff(compiled.target, observation) };
  }

  async #round(cause: string, preview?: Preview): Promise<Round> {
    const { namespace, datapath, log, meters } = this.#options;
    const begun = performance.now();
    const { desired } = this.#generation;
    const { compiled, plan } = preview ?? (await this.#preview(this.#intent));
    const all = await apply(plan, namespace, datapath, this.#options.ends);
    const failures = all.filter(({ step }) => step.op !== "set-workload-mtu");
    this.#noteContainerEnds(plan, all);
    for (const { step, error } of failures) log.error({ step: describe(step), err: error }, "a step failed");
    if (plan.steps.length > 0) {
      log.info({ cause, steps: plan.steps.slice(0, 50).map(describe), count: plan.steps.length }, "reconciled");
    }
    for (const step of plan.steps) {
      if (failures.some((failure) => failure.step === step)) continue;
      if (step.op === "delete-link") meters.countDeleted("link");
      if (step.op === "remove-port") meters.countDeleted("port");
    }
    if (!DELIBERATE.has(cause)) {
      meters.setDrift(plan.steps.length);
      meters.countRepairs(plan.steps.length - failures.length);
    }
    const result = failures.length > 0 ? "failed" : plan.steps.length > 0 ? "applied" : "unchanged";
    meters.countReconcile(result, (performance.now() - begun) / 1000);
    this.#last = { compiled, plan, failures };
    if (failures.length === 0) this.#generation = { ...this.#generation, applied: desired };
    this.#options.onConditions?.(this.conditions);
    return this.#last;
  }

  /** A workload that cannot be reached is a condition of its own: the rest of the host does not go back for it. */
  #noteContainerEnds(plan: Plan, failures: readonly StepFailure[]): void {
    const failed = new Map(failures.map(({ step, error }) => [step, error]));
    for (const step of plan.steps) {
      if (step.op !== "set-workload-mtu") continue;
      const { attachment, after: mtu } = step;
      if (failed.has(step)) {
        const message = messageOf(failed.get(step));
        this.#unreached.set(attachment, { mtu, message });
        this.#options.log.warn({ attachment, mtu, message }, "the MTU of a workload cannot be changed");
      } else {
        const workload = this.#workloads.byId.get(attachment);
        if (workload) this.register({ ...workload, mtu });
      }
    }
  }

  /** The native VLAN that a port without a tag means is the intent's, also before the first round. */
  #vlansOf({ clusterNetwork, vlans }: Workload): VlanSet {
    const native = this.#intent.vlanConfigs.get(clusterNetwork)?.uplink.nativeVlan ?? DEFAULT_NATIVE_VLAN;
    return membership(vlans, native).allowed;
  }
}
