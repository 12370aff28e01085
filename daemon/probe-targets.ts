/** Which gateways are probed, and from where: the networks that have one by intent, through their switch's probe port. Pure. */
import type { Link } from "./kernel/kernel.ts";
import { probedVlan, type SwitchContext } from "./model/ports.ts";
import type { Network } from "./model/resources.ts";
import type { ProbeTarget } from "./probe/prober.ts";
import { probeEnd } from "./reconcile/report.ts";

export function probeTargets(
  networks: Iterable<Network>,
  contexts: ReadonlyMap<string, SwitchContext>,
  links: readonly Link[],
  hasCarrier: (uplink: string) => boolean,
): readonly ProbeTarget[] {
  const targets: ProbeTarget[] = [];
  for (const network of networks) {
    const context = contexts.get(network.clusterNetwork);
    if (!context || network.route?.mode !== "manual") continue;
    const vlan = probedVlan(network, context.nativeVlan);
    if (vlan === 0) continue;
    const inner = probeEnd(links, network.clusterNetwork);
    const { gateway, cidr, probeAddress } = network.route;
    targets.push({
      network: network.name,
      clusterNetwork: network.clusterNetwork,
      vlan,
      gateway,
      cidr,
      probeAddress,
      innerIfindex: inner?.ifindex ?? 0,
      mac: inner?.mac ?? "",
      uplinkHasCarrier: () => hasCarrier(context.uplink),
    });
  }
  return targets;
}
