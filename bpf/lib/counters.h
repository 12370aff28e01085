/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only */
/* Counters by (port, VLAN) slot, and drops by (port, reason). */
#ifndef PORTWRIGHT_LIB_COUNTERS_H
#define PORTWRIGHT_LIB_COUNTERS_H

#include "maps.h"

/* The counter slot of a VLAN that is in port->allowed. */
static __always_inline __u32 slot_of(const struct pw_port* port, __u32 vid) {
  __u64 below;

  if (port->flags & PW_PORT_SINGLE) return port->slot_base;
  below = port->allowed[vid / 64 % 64] & ((1ULL << (vid % 64)) - 1);
  return port->slot_base + port->rank[vid / 64 % 64] + __builtin_popcountll(below);
}

static __always_inline void count_rx(__u32 slot, __u32 bytes) {
  struct pw_counters* c = bpf_map_lookup_elem(&counters, &slot);

  if (likely(c)) {
    c->rx_packets++;
    c->rx_bytes += bytes;
  }
}

static __always_inline void count_tx(__u32 slot, __u32 bytes) {
  struct pw_counters* c = bpf_map_lookup_elem(&counters, &slot);

  if (likely(c)) {
    c->tx_packets++;
    c->tx_bytes += bytes;
  }
}

/* A verdict, so that a drop cannot go uncounted: return drop(...). */
static __always_inline int drop(__u32 port, enum pw_drop reason) {
  struct pw_drops* d = bpf_map_lookup_elem(&drops, &port);

  if (likely(d)) d->reason[reason % PW_DROP_REASONS]++;
  return TC_ACT_SHOT;
}

#endif
