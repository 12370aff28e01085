/** `device` and `managedTap` of a network configuration. Pure. */
import { PortwrightError } from "../errors.ts";
import type { PortDevice } from "../model/attachment.ts";
import type { Fields } from "./decode.ts";
import { parseDevice, takesAddresses } from "./port-device.ts";
import type { CniResult } from "./result.ts";

/**
 * An existing device without a name is the one interface of prevResult that is in the host's namespace; `bridge`, of the
 * cluster network, is not meant by that: a result of ours names it, too. `managedTap` is another word for kind inner-tap.
 */
export function parseNetconfDevice(conf: Fields, prevResult: CniResult | null, bridge: string): PortDevice {
  const isManagedTap = conf.boolean("managedTap") === true;
  const fields = conf.object("device");
  if (fields === undefined) {
    return isManagedTap ? { kind: "inner-tap", tap: { queues: 1, owner: null, group: null } } : { kind: "veth" };
  }
  const device = parseDevice(fields, () => {
    const names = (prevResult?.interfaces ?? []).flatMap(({ name, sandbox }) =>
      sandbox || name === bridge ? [] : name,
    );
    if (names.length === 1) return names[0] ?? "";
    const found = names.length === 0 ? "none" : names.join(", ");
    throw fields.refuse("name", `is missing, and prevResult has not one interface on the host but ${found}`);
  });
  if (isManagedTap && device.kind !== "inner-tap")
    throw fields.refuse("kind", "contradicts managedTap, which is inner-tap", device.kind);
  return device;
}

export function refuseIpam(device: PortDevice, ipamType: string): void {
  if (ipamType === "" || takesAddresses(device)) return;
  throw new PortwrightError(
    "CNI_CONFIG",
    `ipam cannot stand beside device.kind ${device.kind}: a VM sets its own addresses`,
  );
}
