/** The daemon as a change of intent sees it: the reconciler that does it, the probes that judge it. */
import type { Prober } from "./probe/prober.ts";
import type { Reconciler } from "./reconcile/reconciler.ts";
import type { TransactionHost } from "./transaction/host.ts";

export interface TransactionHostParts {
  readonly reconciler: Reconciler;
  readonly prober: Prober;
  /** probes follow the intent */
  readonly onRound: () => Promise<void>;
}

export function transactionHost({ reconciler, prober, onRound }: TransactionHostParts): TransactionHost {
  return {
    get intent() {
      return reconciler.intent;
    },
    get conditions() {
      return reconciler.conditions;
    },
    get probes() {
      return prober.reports();
    },
    probeNow: () => prober.probeNow(),
    preview: (intent) => reconciler.preview(intent),
    setIntent: async (intent, gate) => {
      const round = await reconciler.setIntent(intent, gate);
      await onRound();
      return round;
    },
    settle: async () => {
      const round = await reconciler.reconcile("verify");
      await onRound();
      return round;
    },
    restore: (saved) => reconciler.restore(saved),
  };
}
