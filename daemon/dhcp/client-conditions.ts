/** What is said of DHCP clients that do not run. Pure. */
import { hostNetworkObject } from "../model/host-networks.ts";
import { hostLinkNames, type Intent } from "../model/resources.ts";
import type { Condition } from "../model/target.ts";

/** linux/capability.h: the client renews from port 68 */
const CAP_NET_BIND_SERVICE = 10;
/** What gives it to the service: systemd/dropins/dhcp.conf, as it is installed. */
const DROPIN = "/usr/lib/portwright/systemd/dhcp.conf";

/** `faults`: why, by device; `procStatus`: /proc/self/status */
export function clientConditions(
  intent: Pick<Intent, "hostNetworkConfigs">,
  faults: ReadonlyMap<string, string>,
  procStatus: () => string,
): readonly Condition[] {
  if (faults.size === 0) return [];
  const needed = hasRights(procStatus()) ? "" : `; portwrightd.service needs the drop-in ${DROPIN}`;
  return [...intent.hostNetworkConfigs.values()].flatMap((config): Condition[] => {
    const { device } = hostLinkNames(config.clusterNetwork, config.vlan);
    const fault = config.dhcp ? faults.get(device) : undefined;
    if (fault === undefined) return [];
    const message = `the DHCP client of ${device} does not run: ${fault}${needed}`;
    return [{ code: "DHCP_CLIENT_FAILED", object: hostNetworkObject(config), message }];
  });
}

/** The drop-in gives the right to the port and to Internet sockets; only the former can be read. */
function hasRights(procStatus: string): boolean {
  const mask = /^CapEff:\s*([0-9a-f]+)$/m.exec(procStatus)?.[1];
  return mask === undefined || (BigInt(`0x${mask}`) & (1n << BigInt(CAP_NET_BIND_SERVICE))) !== 0n;
}
