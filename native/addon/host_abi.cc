// SPDX-License-Identifier: Apache-2.0
// The layout of bpf/abi.h as the compiler sees it: "struct" -> size, "struct.field" -> offset, "NAME" -> value. The
// daemon compares its own tables with this at start. A field that is missing here is a compile error.
#include <cstddef>

#include "abi.h"
#include "host.h"

// One paragraph a structure. F(struct, field).
// clang-format off
#define PW_ABI_STRUCTS(S) \
  S(pw_port, F(pw_port, ifindex) F(pw_port, flags) F(pw_port, pvid) F(pw_port, kind) F(pw_port, switch_id) \
    F(pw_port, mtu) F(pw_port, slot_base) F(pw_port, slot_count) F(pw_port, fdb_limit) F(pw_port, source) \
    F(pw_port, allowed) F(pw_port, untagged) F(pw_port, rank)) \
  S(pw_fdb_entry, F(pw_fdb_entry, port) F(pw_fdb_entry, flags) F(pw_fdb_entry, tick)) \
  S(pw_flood, F(pw_flood, n_untagged) F(pw_flood, n_tagged) F(pw_flood, member)) \
  S(pw_counters, F(pw_counters, rx_packets) F(pw_counters, rx_bytes) F(pw_counters, tx_packets) \
    F(pw_counters, tx_bytes)) \
  S(pw_port_stats, F(pw_port_stats, flood_packets) F(pw_port_stats, fdb_moves) F(pw_port_stats, fdb_limit_hits) \
    F(pw_port_stats, fdb_full) F(pw_port_stats, event_lost) F(pw_port_stats, reserved)) \
  S(pw_drops, F(pw_drops, reason)) \
  S(pw_event, F(pw_event, type) F(pw_event, port) F(pw_event, from) F(pw_event, mac_domain) F(pw_event, time_ns)) \
  S(pw_config, F(pw_config, abi_version) F(pw_config, event_rate) F(pw_config, learn_events) \
    F(pw_config, reserved)) \
  S(pw_clock, F(pw_clock, jiffies) F(pw_clock, time_ns)) \
  S(pw_sweep, F(pw_sweep, mac) F(pw_sweep, min_age) F(pw_sweep, domain) F(pw_sweep, domain_mask) F(pw_sweep, port) \
    F(pw_sweep, flags) F(pw_sweep, removed) F(pw_sweep, kept) F(pw_sweep, reserved))

#define PW_ABI_VALUES(V) \
  V(PW_ABI_VERSION) V(PW_MAX_PORTS) V(PW_MAX_SWITCHES) V(PW_MAX_VLANS) V(PW_DENSE_IFINDEX) V(PW_FLOOD_MAX) \
    V(PW_FDB_MAX) V(PW_SLOTS_MAX) V(PW_DROP_REASONS) \
  V(PW_KIND_VETH) V(PW_KIND_NIC) V(PW_KIND_TAP) V(PW_KIND_HOST) \
  V(PW_PORT_UP) V(PW_PORT_PEER) V(PW_PORT_ISOLATED) V(PW_PORT_SINGLE) V(PW_PORT_LEARN) V(PW_PORT_FLOOD) \
    V(PW_PORT_UPLINK) V(PW_PORT_HAIRPIN) \
  V(PW_FDB_STATIC) V(PW_FDB_STICKY) V(PW_TICK_SHIFT) \
  V(PW_DROP_NONE) V(PW_DROP_RUNT) V(PW_DROP_BAD_SOURCE) V(PW_DROP_RESERVED_VID) V(PW_DROP_UNTAGGED) \
    V(PW_DROP_VLAN_NOT_ALLOWED) V(PW_DROP_PORT_DOWN) V(PW_DROP_STICKY_MOVE) V(PW_DROP_HAIRPIN) \
    V(PW_DROP_EGRESS_VLAN) V(PW_DROP_ISOLATED) V(PW_DROP_MTU) V(PW_DROP_REDIRECT) V(PW_DROP_NO_PORT) \
    V(PW_DROP_NO_MEMBER) V(PW_DROP_SPOOFED) V(PW_DROP_COUNT) \
  V(PW_EVENT_FDB_MOVE) V(PW_EVENT_FDB_FULL) V(PW_EVENT_FDB_LIMIT) V(PW_EVENT_STICKY_MOVE) V(PW_EVENT_FDB_LEARN) \
  V(PW_SWEEP_STATIC) V(PW_SWEEP_OTHERS) V(PW_SWEEP_ANSWERS) V(PW_SWEEP_GONE)
// clang-format on

namespace pw::host {

// The structures have no padding, so their fields fill them: a field that the table lacks leaves a hole.
#define F(type, field) +sizeof(type::field)
#define S(type, fields) \
  static_assert((0 fields) == sizeof(type), "bpf/abi.h: " #type " has padding, or a field that PW_ABI_STRUCTS lacks");
PW_ABI_STRUCTS(S)
#undef S
#undef F

// Every reason and event has a name here: the enumerations are dense.
static_assert(PW_DROP_COUNT == 16, "bpf/abi.h: a drop reason that PW_ABI_VALUES lacks");

void EachAbiValue(const std::function<void(const char*, uint64_t)>& use) {
#define F(type, field) use(#type "." #field, offsetof(type, field));
#define S(type, fields)     \
  use(#type, sizeof(type)); \
  fields
  PW_ABI_STRUCTS(S)
#undef S
#undef F
#define V(name) use(#name, name);
  PW_ABI_VALUES(V)
#undef V
}

}  // namespace pw::host
