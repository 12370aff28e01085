/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only */
/* Events to the daemon: a ring buffer, with a limit a CPU, so that a storm of moves cannot become a storm of wake-ups.
 */
#ifndef PORTWRIGHT_LIB_EVENTS_H
#define PORTWRIGHT_LIB_EVENTS_H

#include "maps.h"

struct event_budget {
  __u32 window;
  __u32 used;
};

struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct event_budget);
} event_budget SEC(".maps");

static __always_inline int within_budget(__u32 rate) {
  struct event_budget* b;
  /* 2^30 ns are a second near enough, and need no division. Coarse time: kernel >= 5.11. */
  __u32 window = bpf_ktime_get_coarse_ns() >> 30, zero = 0;

  b = bpf_map_lookup_elem(&event_budget, &zero);
  if (!b) return 0;
  if (b->window != window) {
    b->window = window;
    b->used = 0;
  }
  if (b->used >= rate) return 0;
  b->used++;
  return 1;
}

static __noinline int report(__u32 type, __u32 port, __u32 from, __u64 mac_domain) {
  struct pw_port_stats* stats;
  struct pw_config* cfg;
  struct pw_event* e;
  __u32 zero = 0;

  cfg = bpf_map_lookup_elem(&config, &zero);
  if (!cfg || !cfg->event_rate) return 0;
  if (type == PW_EVENT_FDB_LEARN && !cfg->learn_events) return 0;
  e = within_budget(cfg->event_rate) ? bpf_ringbuf_reserve(&events, sizeof(*e), 0) : NULL;
  if (!e) {
    stats = bpf_map_lookup_elem(&port_stats, &port);
    if (stats) stats->event_lost++;
    return 0;
  }
  e->type = type;
  e->port = port;
  e->from = from;
  e->mac_domain = mac_domain;
  e->time_ns = bpf_ktime_get_ns();
  bpf_ringbuf_submit(e, 0);
  return 0;
}

#endif
