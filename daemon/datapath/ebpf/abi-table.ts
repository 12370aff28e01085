/**
 * Sizes and offsets of the structures of bpf/abi.h, as layout.ts uses them, and the check against what the compiler
 * made of the same file. Pure.
 */

/** In the form of `Kernel.abi`: "struct" -> size, "struct.field" -> offset. */
export const LAYOUT: Readonly<Record<string, number>> = {
  pw_port: 1184,
  "pw_port.ifindex": 0,
  "pw_port.flags": 4,
  "pw_port.pvid": 6,
  "pw_port.kind": 8,
  "pw_port.switch_id": 9,
  "pw_port.mtu": 10,
  "pw_port.slot_base": 12,
  "pw_port.slot_count": 16,
  "pw_port.fdb_limit": 20,
  "pw_port.source": 24,
  "pw_port.allowed": 32,
  "pw_port.untagged": 544,
  "pw_port.rank": 1056,
  pw_fdb_entry: 8,
  "pw_fdb_entry.port": 0,
  "pw_fdb_entry.flags": 2,
  "pw_fdb_entry.tick": 4,
  pw_flood: 2052,
  "pw_flood.n_untagged": 0,
  "pw_flood.n_tagged": 2,
  "pw_flood.member": 4,
  pw_counters: 32,
  "pw_counters.rx_packets": 0,
  "pw_counters.rx_bytes": 8,
  "pw_counters.tx_packets": 16,
  "pw_counters.tx_bytes": 24,
  pw_drops: 256,
  "pw_drops.reason": 0,
  pw_port_stats: 48,
  "pw_port_stats.flood_packets": 0,
  "pw_port_stats.fdb_moves": 8,
  "pw_port_stats.fdb_limit_hits": 16,
  "pw_port_stats.fdb_full": 24,
  "pw_port_stats.event_lost": 32,
  pw_event: 24,
  "pw_event.type": 0,
  "pw_event.port": 4,
  "pw_event.from": 6,
  "pw_event.mac_domain": 8,
  "pw_event.time_ns": 16,
  pw_config: 16,
  "pw_config.abi_version": 0,
  "pw_config.event_rate": 4,
  "pw_config.learn_events": 8,
  pw_clock: 16,
  "pw_clock.jiffies": 0,
  "pw_clock.time_ns": 8,
  pw_sweep: 32,
  "pw_sweep.mac": 0,
  "pw_sweep.min_age": 8,
  "pw_sweep.domain": 12,
  "pw_sweep.domain_mask": 14,
  "pw_sweep.port": 16,
  "pw_sweep.flags": 18,
  "pw_sweep.removed": 20,
  "pw_sweep.kept": 24,
};

/** What differs between this file and the addon's table; empty when the two were built from the same abi.h. */
export function abiMismatches(abi: Readonly<Record<string, number>>): readonly string[] {
  return Object.entries(LAYOUT)
    .filter(([name, value]) => abi[name] !== value)
    .map(([name, value]) => `${name} is ${abi[name] ?? "absent"}, not ${value}`);
}

export function checkAbi(abi: Readonly<Record<string, number>>): void {
  const wrong = abiMismatches(abi);
  if (wrong.length > 0) throw new Error(`the addon was built from another bpf/abi.h: ${wrong.join("; ")}`);
}

/** Offset of "struct.field", or size of "struct". */
export function at(name: string): number {
  const value = LAYOUT[name];
  if (value === undefined) throw new Error(`no ${name} in the layout`);
  return value;
}

export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
