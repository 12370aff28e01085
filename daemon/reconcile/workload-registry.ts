/** The workloads that have, or are about to have, a port: by id and by host interface, and the VLANs that they need. */
import type { Workload } from "../model/attachment.ts";
import { VlanDemand } from "../model/vlan-demand.ts";
import { VlanSet } from "../model/vlan-set.ts";

export class WorkloadRegistry {
  readonly #byId = new Map<string, Workload>();
  readonly #byInterface = new Map<string, Workload>();
  /** what each of them was counted with */
  readonly #counted = new Map<string, VlanSet>();
  /** by cluster network */
  readonly #demands = new Map<string, VlanDemand>();

  get byId(): ReadonlyMap<string, Workload> {
    return this.#byId;
  }

  portOf(hostInterface: string): Workload | undefined {
    return this.#byInterface.get(hostInterface);
  }

  /** VLANs that the workloads of a cluster network use */
  demandOf(clusterNetwork: string): VlanSet {
    return this.#demands.get(clusterNetwork)?.vlans ?? VlanSet.empty;
  }

  /** in the place of what was known of it */
  set(workload: Workload, vlans: VlanSet): void {
    const { id, hostInterface, clusterNetwork } = workload;
    this.delete(id);
    this.#byId.set(id, workload);
    this.#byInterface.set(hostInterface, workload);
    this.#counted.set(id, vlans);
    const demand = this.#demands.get(clusterNetwork) ?? new VlanDemand();
    this.#demands.set(clusterNetwork, demand);
    demand.add(vlans);
  }

  delete(id: string): Workload | undefined {
    const workload = this.#byId.get(id);
    if (!workload) return undefined;
    const { hostInterface, clusterNetwork } = workload;
    this.#byId.delete(id);
    if (this.#byInterface.get(hostInterface)?.id === id) this.#byInterface.delete(hostInterface);
    this.#demands.get(clusterNetwork)?.remove(this.#counted.get(id) ?? VlanSet.empty);
    this.#counted.delete(id);
    return workload;
  }
}
