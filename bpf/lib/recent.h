/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only */
/*
 * What the FDB said lately, by (source, destination) and CPU: one cache line instead of two hash look-ups (30 to 40 ns
 * each) for a flow that goes on. An answer counts for one tick at most, so that a source is refreshed in every tick
 * that it is seen in, and only as long as `fdb_generation` stands: every move and every sweep that removed something
 * raises it. A write to the FDB from user space may be overlooked until the tick ends; that is harmless, since ports,
 * VLANs and MTU are looked up anew for every frame. What is asked only before an answer is put here, whether the source
 * may come from that port and whether it may leave by it again, costs a flow nothing: the daemon raises the generation
 * when it changes that of a port (PW_SWEEP_ANSWERS).
 */
#ifndef PORTWRIGHT_LIB_RECENT_H
#define PORTWRIGHT_LIB_RECENT_H

#include "maps.h"

#define RECENT_BITS 10

struct recent {
  __u64 src; /* FDB keys */
  __u64 dst;
  __u32 tick;
  __u32 generation;
  __u16 in;
  __u16 out; /* 0: empty */
  __u32 reserved;
};

struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct recent[1 << RECENT_BITS]);
} recent SEC(".maps");

static __always_inline __u32 generation_now(void) {
  __u32 zero = 0, *generation = bpf_map_lookup_elem(&fdb_generation, &zero);

  return generation ? *(volatile __u32*)generation : 0;
}

static __always_inline void raise_generation(void) {
  __u32 zero = 0, *generation = bpf_map_lookup_elem(&fdb_generation, &zero);

  if (generation) __sync_fetch_and_add(generation, 1);
}

static __always_inline struct recent* recent_place(__u64 src, __u64 dst) {
  __u32 zero = 0, at = ((src ^ (dst >> 13)) * 0x9e3779b97f4a7c15ULL) >> (64 - RECENT_BITS);
  struct recent* table = bpf_map_lookup_elem(&recent, &zero);

  return table ? &table[at & ((1 << RECENT_BITS) - 1)] : NULL;
}

static __always_inline int recent_holds(const struct recent* r, __u64 src, __u64 dst, __u32 in, __u32 tick,
                                        __u32 generation) {
  return r->src == src && r->dst == dst && r->in == in && r->tick == tick && r->generation == generation && r->out;
}

#endif
