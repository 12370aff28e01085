/** What the API needs of the daemon: the routes know this interface and nothing behind it. */
import type { Registry } from "prom-client";
import type { CniReply, CniRequest } from "../attach/cni-request.ts";
import type { Collected } from "../attach/collector.ts";
import type { DatapathEvent, FdbEntry, MapUse, PortCounters } from "../datapath/datapath.ts";
import type { Attachment } from "../model/attachment.ts";
import type { PortStatus, Status } from "../model/status.ts";
import type { ApplyAnswer, PlanView, TransactionStatus } from "../model/transaction.ts";

/** An attach request of a client that is not CNI. The names are those of the JSON and protobuf forms. */
export interface AttachRequest {
  /** a Network of the intent */
  readonly network: string;
  /** path of the workload's network namespace; absent where the device is in the host's alone */
  readonly netns?: string;
  readonly containerId: string;
  /** name in the workload; 1-15 bytes; absent: that of the device */
  readonly interface?: string;
  /** empty: the kernel chooses */
  readonly mac: string;
  /** static addresses with prefix length, e.g. "10.0.0.2/24"; empty: layer 2 only */
  readonly addresses: readonly string[];
  /** "gated": no frame passes until the port is opened */
  readonly state: "ready" | "gated";
  /** absent: a veth */
  readonly device?: DeviceRequest;
}

/** What the port shall be; see PortDevice. */
export interface DeviceRequest {
  readonly kind: "veth" | "inner-tap" | "tap" | "existing";
  /** of a tap; 0: one */
  readonly queues?: number;
  readonly owner?: number;
  readonly group?: number;
  /** of the link in the host's namespace; may be empty for a tap */
  readonly name?: string;
}

/** A change of intent. */
export interface ApplyRequest {
  /** absent: the daemon's own files */
  readonly texts?: readonly { readonly file: string; readonly text: string }[];
  /** s in which it must be confirmed; 0 or absent: it need not be */
  readonly confirm?: number;
  /** s in which probes that succeeded before must succeed again */
  readonly verify?: number;
}

export type PortwrightEvent =
  | { readonly type: "attached" | "opened" | "detached"; readonly time: string; readonly attachment: Attachment }
  | { readonly type: "link-up" | "link-down"; readonly time: string; readonly device: string }
  | {
      readonly type: "probe";
      readonly time: string;
      readonly network: string;
      readonly probe: string;
      readonly success: boolean;
      readonly reason: string;
    }
  | { readonly type: "fdb"; readonly time: string; readonly event: DatapathEvent }
  | {
      readonly type: "condition";
      readonly time: string;
      readonly code: string;
      readonly object: string;
      readonly message: string;
    };

export interface Backend {
  /** Resolves when frames flow. */
  attach(request: AttachRequest): Promise<Attachment>;
  /** Resolves when frames pass and the network has been told; what is open already stays as it is. */
  open(id: string): Promise<Attachment>;
  /** Resolves when the interface is gone from the workload; ATTACHMENT_UNKNOWN if there is none. */
  detach(id: string): Promise<void>;
  /** Removes attachments whose network namespace no longer exists. */
  collect(): Promise<Collected>;
  attachments(): readonly Attachment[];
  cni(request: CniRequest): Promise<CniReply>;
  /** what applying these texts would do; undefined: the daemon's own files */
  plan(texts: ApplyRequest["texts"]): Promise<PlanView>;
  /** Resolves when the change is verified: permanent, or waiting for its confirmation. */
  apply(request: ApplyRequest): Promise<ApplyAnswer>;
  confirm(): Promise<ApplyAnswer>;
  /** Resolves when the last good intent is in force again. */
  rollBack(): Promise<TransactionStatus>;
  transaction(): ApplyAnswer;
  status(): Promise<Status>;
  ports(): Promise<readonly PortStatus[]>;
  counters(): Promise<readonly PortCounters[]>;
  fdb(): Promise<readonly FdbEntry[]>;
  mapUse(): Promise<readonly MapUse[]>;
  /** returns the function that ends it */
  subscribe(listener: (event: PortwrightEvent) => void): () => void;
  readonly metrics: Registry;
  /** process lives and its event loop and kernel thread answer */
  healthy(): Promise<{ readonly ok: boolean; readonly reasons: readonly string[] }>;
  /** first reconcile done and nothing wanted is missing */
  ready(): Promise<{ readonly ok: boolean; readonly reasons: readonly string[] }>;
}
