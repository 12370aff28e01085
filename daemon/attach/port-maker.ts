/** The attach room's view of the host: makes and removes ports. Implemented by `daemon/reconcile`. */
import type { Attachment, PortFeatures } from "../model/attachment.ts";
import type { PortVlans } from "../model/port.ts";
import type { WorkloadSide } from "./workload-side.ts";

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
  /** null: the device has no end in another namespace than the host's */
  readonly workload: Pick<WorkloadSide, "netns" | "enter"> | null;
  readonly netnsPath: string;
}

export interface MadePort {
  readonly hostInterface: string;
  readonly hostIfindex: number;
  readonly hostMac: string;
  readonly bridge: HostInterface;
  /** of the interface in the workload's namespace; 0: there is none */
  readonly containerIfindex: number;
  readonly mac: string;
  readonly mtu: number;
}

/** An interface of the host; its MAC is empty if it is gone. */
export interface HostInterface {
  readonly name: string;
  readonly mac: string;
}

export type UnmadePort = Pick<
  Attachment,
  | "id"
  | "localBridge"
  | "device"
  | "hostInterface"
  | "hostIfindex"
  | "clusterNetwork"
  | "network"
  | "netnsPath"
  | "netns"
>;

export interface PortMaker {
  /**
   * The device that was asked for, up, switched. INTERFACE_EXISTS if the name is taken there. All or nothing. What exists
   * already is not touched before the caller has the promise, so that it can note beforehand what will be changed.
   */
  make(request: PortRequest): Promise<MadePort>;
  /**
   * The attachment has its addresses and gateways: when it resolves the host answers there. `forceAddress`: other
   * addresses that are in the way go, unless somebody is known to want them.
   */
  route(attachment: Attachment, forceAddress: boolean): Promise<HostInterface>;
  /** Its record is complete: from now on its MTU follows the network's. */
  made(attachment: Attachment): void;
  /** Frames pass from now on; what was learned of its address elsewhere is forgotten. All or nothing. */
  open(attachment: Attachment): Promise<void>;
  /** The switch gets the frames as if the workload had sent them. */
  send(attachment: Attachment, frames: readonly Uint8Array[]): Promise<void>;
  /** Resolves when the interface is gone from the container. Harmless if it is gone already. */
  unmake(attachment: UnmadePort): Promise<void>;
  /** differences between the attachment and the kernel, each a sentence; empty if none */
  verify(attachment: Attachment): Promise<readonly string[]>;
}
