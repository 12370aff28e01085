/** What must hold of the daemon's status once the demo stands. Pure. */
import type { Status } from "../model/status.ts";

/** What did not hold; empty when all is well. */
export function statusFaults(status: Status): readonly string[] {
  const faults = status.conditions.map(({ code, object, message }) => `${object}: ${message} [${code}]`);
  if (!status.ready) faults.push("the daemon is not ready");
  for (const network of status.networks) {
    for (const probe of network.probes) {
      if (!probe.success) {
        faults.push(`probe ${probe.probe} of ${network.name}: ${probe.reason ?? "no answer yet"} ${probe.detail}`);
      }
    }
  }
  return faults;
}
