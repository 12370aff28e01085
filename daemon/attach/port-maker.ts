/** The attach room's view of the host: makes and removes ports. Implemented by `daemon/reconcile`. */
import type { Attachment, PortFeatures } from "../model/attachment.ts";
import type { PortVlans } from "../model/port.ts";
import type { Namespace, NetnsHandle } from "../kernel/kernel.ts";

/** What the port shall be. */
export interface PortOptions extends PortFeatures {
  /** its switch; BRIDGE_UNKNOWN if there is none */
  readonly clusterNetwork: string;
  readonly network: string;
  readonly vlans: PortVlans;
  /** empty: derived from the id, stable and locally administered */
  readonly mac: string;
  /** 0: the cluster network's */
  readonly mtu: number;
}

export interface PortRequest extends PortOptions {
  readonly id: string;
  readonly containerId: string;
  readonly interface: string;
  readonly netns: NetnsHandle;
  /** the same namespace, entered; the caller closes it */
  readonly container: Promise<Namespace>;
  readonly netnsPath: string;
}

export interface MadePort {
  readonly hostInterface: string;
  readonly hostIfindex: number;
  readonly hostMac: string;
  readonly containerIfindex: number;
  readonly mac: string;
  readonly mtu: number;
}

/** An interface of the host by which workloads are routed. */
export interface HostInterface {
  readonly name: string;
  readonly mac: string;
}

export interface PortMaker {
  /** veth into the namespace, both ends up, switched. INTERFACE_EXISTS if the name is taken there. All or nothing. */
  make(request: PortRequest): Promise<MadePort>;
  /**
   * The attachment has its addresses and gateways: when it resolves the host answers there. `forceAddress`: other
   * addresses that are in the way go, unless somebody is known to want them.
   */
  route(attachment: Attachment, forceAddress: boolean): Promise<HostInterface>;
  /** Its record is complete: from now on its MTU follows the network's. */
  made(attachment: Attachment): void;
  /** Resolves when the interface is gone from the container. Harmless if it is gone already. */
  unmake(attachment: Pick<Attachment, "id" | "hostInterface" | "hostIfindex" | "clusterNetwork">): Promise<void>;
  /** differences between the attachment and the kernel, each a sentence; empty if none */
  verify(attachment: Attachment): Promise<readonly string[]>;
}
