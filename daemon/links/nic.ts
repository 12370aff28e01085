/**
 * An uplink NIC. It was there before us and stays after us: adjusted, never created, deleted or renamed, and without an
 * alias of ours. It is promiscuous because frames for workloads carry their MAC addresses, not its own.
 */
import type { Link } from "../kernel/kernel.ts";
import type { VlanConfig } from "../model/resources.ts";
import type { TargetLink } from "../model/target.ts";
import { type Comparable, type SettingsChange, settingsChange } from "./settings.ts";

export function nic(name: string, vlanConfig: VlanConfig, mtu: number): TargetLink {
  return {
    name,
    kind: "nic",
    alias: "",
    up: true,
    mtu,
    mac: vlanConfig.uplink.hardwareAddress,
    txQueueLength: vlanConfig.uplink.txQueueLength,
    promiscuous: true,
    noArp: false,
    data: {},
    clusterNetwork: vlanConfig.clusterNetwork,
  };
}

export function nicSettings(link: TargetLink): Comparable {
  return {
    up: link.up,
    mtu: link.mtu,
    promiscuous: link.promiscuous,
    ...(link.mac === "" ? {} : { mac: link.mac }),
    ...(link.txQueueLength < 0 ? {} : { txQueueLength: link.txQueueLength }),
  };
}

/** A NIC that is no uplink any more. It stays up and keeps its MTU: what it had before us is not known. */
export function releaseNic(link: Link): SettingsChange | null {
  return settingsChange({ promiscuous: false }, link);
}
