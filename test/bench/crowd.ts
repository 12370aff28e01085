/** Many attached ports: a few namespaces with many interfaces each, attached through the daemon's API, not one by one by CNI. */
import type { LabHost } from "../../daemon/demo/lab.ts";
import { type BenchDaemon, call, network } from "./daemon.ts";
import type { Scope } from "./scope.ts";

export const CROWD = 500;
const NAMESPACES = 5;
const NETWORKS = 20;
const AT_ONCE = 8;

/** intent for `attachCrowd`; no gateway, so no probes */
export const CROWD_INTENT = Array.from({ length: NETWORKS }, (_, n) => network(`net${n}`, 100 + n)).join("---");

export async function attachCrowd(scope: Scope, daemon: BenchDaemon, count = CROWD): Promise<void> {
  const hosts: LabHost[] = [];
  for (let n = 0; n < NAMESPACES; n++) hosts.push(await scope.host(`crowd${n}`));
  let next = 0;
  const worker = async (): Promise<void> => {
    for (let i = next++; i < count; i = next++) {
      scope.signal.throwIfAborted();
      await call(daemon.cniSocket, "POST", "/v1/attachments", {
        network: `net${i % NETWORKS}`,
        netns: hosts[i % NAMESPACES]?.path,
        containerId: `crowd${i}`,
        interface: `eth${Math.floor(i / NAMESPACES)}`,
      });
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
}
