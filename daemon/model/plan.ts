/** A plan is data: ordered steps with what was and what will be. `portwright plan` prints what `apply` does. */
import type { ObservedPort, TargetLink, TargetPort } from "./target.ts";
import type { TargetAddress } from "./addresses.ts";
import type { LinkSettings } from "../kernel/kernel.ts";

/** What traffic notices: nothing, a few lost frames, or a link that is gone for a while. */
export type Impact = "none" | "blip" | "outage";

/** Where a step names a link by ifindex 0, an earlier step of the plan makes it: then the name says which. */
export type Step =
  | { readonly op: "create-link"; readonly link: TargetLink; readonly impact: Impact }
  | {
      readonly op: "change-link";
      readonly name: string;
      readonly ifindex: number;
      readonly before: LinkSettings;
      readonly after: LinkSettings;
      readonly impact: Impact;
    }
  | {
      readonly op: "delete-link";
      readonly name: string;
      readonly ifindex: number;
      /** what it was, to make it again; null for a workload's link, whose other end only its workload could give */
      readonly before: TargetLink | null;
      readonly impact: Impact;
    }
  | {
      /** takes a NIC into a bond: it goes down, gets the bond's MTU and MAC, and comes up again */
      readonly op: "enslave";
      readonly name: string;
      readonly ifindex: number;
      readonly bond: string;
      /** how it was; `bond` empty: in none */
      readonly before: { readonly up: boolean; readonly bond: string };
      readonly impact: Impact;
    }
  | {
      /** lets a NIC go: it gets its own MTU and MAC back */
      readonly op: "release";
      readonly name: string;
      readonly ifindex: number;
      readonly bond: string;
      /** afterwards */
      readonly up: boolean;
      /** not before another member carries traffic, unless this one carries none either */
      readonly needsSuccessor: boolean;
      readonly impact: Impact;
    }
  | {
      readonly op: "set-port";
      readonly port: TargetPort;
      /** null: new. ifindex is looked up when the step runs, for the link may come from an earlier step. */
      readonly before: ObservedPort | null;
      readonly impact: Impact;
    }
  | {
      /** gives the end in the container the MTU of its network; `before` 0: unknown */
      readonly op: "set-workload-mtu";
      /** of the host's end */
      readonly name: string;
      readonly ifindex: number;
      readonly attachment: string;
      readonly before: number;
      readonly after: number;
      readonly impact: Impact;
    }
  | {
      readonly op: "remove-port";
      readonly before: ObservedPort;
      /** empty: its link is gone */
      readonly linkName: string;
      readonly clusterNetwork: string;
      readonly network: string;
      readonly impact: Impact;
    }
  | {
      /** of the host, on a link of ours */
      readonly op: "add-address" | "remove-address";
      readonly name: string;
      readonly ifindex: number;
      readonly address: TargetAddress;
      readonly impact: Impact;
    };

export interface Plan {
  readonly steps: readonly Step[];
}
