/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only */
/* The forwarding database: learning from sources, moves, limits, and the sweep that ages and forgets. */
#ifndef PORTWRIGHT_LIB_FDB_H
#define PORTWRIGHT_LIB_FDB_H

#include "events.h"
#include "frame.h"
#include "maps.h"
#include "recent.h"

union fdb_word { /* an entry as one word, so that a move is one atomic exchange */
  struct pw_fdb_entry entry;
  __u64 word;
};

static __always_inline __u32 tick_now(void) {
  return bpf_jiffies64() >> PW_TICK_SHIFT;
}

static __always_inline void fdb_uncount(__u32 port) {
  __u32* n = bpf_map_lookup_elem(&fdb_count, &port);

  if (n) __sync_fetch_and_sub(n, 1);
}

/* Takes one of the port's places for learned addresses. */
static __always_inline int fdb_take_place(__u32 port, __u32 limit) {
  __u32* n = bpf_map_lookup_elem(&fdb_count, &port);

  if (!n) return 0;
  if (__sync_fetch_and_add(n, 1) < limit || !limit) return 1;
  __sync_fetch_and_sub(n, 1);
  return 0;
}

static __always_inline struct pw_port_stats* stats_of(__u32 port) {
  return bpf_map_lookup_elem(&port_stats, &port);
}

static __always_inline void limit_hit(__u32 port, __u32 from, __u64 key) {
  struct pw_port_stats* stats = stats_of(port);

  if (stats) stats->fdb_limit_hits++;
  report(PW_EVENT_FDB_LIMIT, port, from, key);
}

/* A source that the table does not hold. The frame is switched whatever comes of it. */
static __noinline int fdb_learn(__u64 key, __u32 port, __u32 limit) {
  struct pw_fdb_entry entry = {.port = port, .tick = tick_now()};
  struct pw_port_stats* stats;
  long err;

  if (!fdb_take_place(port, limit)) {
    limit_hit(port, 0, key);
    return 0;
  }
  err = bpf_map_update_elem(&fdb, &key, &entry, BPF_NOEXIST);
  if (!err) {
    report(PW_EVENT_FDB_LEARN, port, 0, key);
    return 0;
  }
  fdb_uncount(port);
  if (err == -17 /* EEXIST: another CPU was first */) return 0;
  stats = stats_of(port);
  if (stats) stats->fdb_full++;
  report(PW_EVENT_FDB_FULL, port, 0, key);
  return 0;
}

/*
 * A source that the table holds for another port. Static entries move like learned ones, as in the Linux bridge, unless
 * they are sticky.
 */
static __noinline enum pw_drop fdb_move(__u64 key, __u32 port, __u32 limit) {
  union fdb_word old, new;
  struct pw_port_stats* stats;
  struct pw_fdb_entry* entry;
  int counted;

  entry = bpf_map_lookup_elem(&fdb, &key);
  if (!entry) return PW_DROP_NONE;
  old.word = *(volatile __u64*)entry;
  if (old.entry.port == port) return PW_DROP_NONE;
  if (old.entry.flags & PW_FDB_STICKY) {
    report(PW_EVENT_STICKY_MOVE, port, old.entry.port, key);
    return PW_DROP_STICKY_MOVE;
  }
  counted = !(old.entry.flags & PW_FDB_STATIC);
  if (counted && !fdb_take_place(port, limit)) {
    limit_hit(port, old.entry.port, key);
    return PW_DROP_NONE;
  }
  new = old;
  new.entry.port = port;
  new.entry.tick = tick_now();
  if (__sync_val_compare_and_swap((__u64*)entry, old.word, new.word) != old.word) {
    if (counted) fdb_uncount(port);
    return PW_DROP_NONE; /* changed meanwhile; the next frame tells again */
  }
  raise_generation();
  if (counted) fdb_uncount(old.entry.port);
  stats = stats_of(port);
  if (stats) stats->fdb_moves++;
  report(PW_EVENT_FDB_MOVE, port, old.entry.port, key);
  return PW_DROP_NONE;
}

/*
 * Learns the source. The common case is a look-up and no write: the tick changes once in 2^PW_TICK_SHIFT jiffies.
 * *known: the table names this port.
 */
static __always_inline enum pw_drop fdb_source(__u64 key, __u32 port, __u32 limit, __u32 now, int* known) {
  struct pw_fdb_entry* entry = bpf_map_lookup_elem(&fdb, &key);

  if (unlikely(!entry)) {
    fdb_learn(key, port, limit);
    return PW_DROP_NONE;
  }
  if (unlikely(entry->port != port)) return fdb_move(key, port, limit);
  if (unlikely(entry->tick != now)) entry->tick = now;
  *known = 1;
  return PW_DROP_NONE;
}

struct bpf_map;

/*
 * Each count shares its eight octets with a value that the verifier cannot know. Counts that it knew would be new in
 * every round of the walk, and the rounds would never look alike to it (kernel >= 6.7).
 */
struct sweep_run {
  __u64 mac;
  __u32 min_age;
  __u32 domain;
  __u32 domain_mask;
  __u32 port;
  __u32 flags;
  __u32 removed;
  __u32 now;
  __u32 kept;
};

/* An entry may have been seen after the sweep began: its age is negative then, not immense. */
static __always_inline int is_fresh(const struct sweep_run* run, __u32 tick) {
  return run->min_age && (__s32)(run->now - tick) < (__s64)run->min_age;
}

static __always_inline int is_port(__u32 id) {
  struct pw_port* port = bpf_map_lookup_elem(&ports, &id);

  return port && port->ifindex;
}

/* Is it one that was asked for, but for its age? */
static __always_inline int is_meant(const struct sweep_run* run, __u64 key, __u32 port) {
  if (run->mac && run->mac != (key & FDB_MAC_MASK)) return 0;
  if ((key & run->domain_mask) != run->domain) return 0;
  if (run->flags & PW_SWEEP_GONE) return !is_port(port);
  return !run->port || (run->port == port) == !(run->flags & PW_SWEEP_OTHERS);
}

static long sweep_one(struct bpf_map* map, __u64* key, struct pw_fdb_entry* entry, struct sweep_run* run) {
  union fdb_word seen = {.word = *(volatile __u64*)entry};
  int is_static = seen.entry.flags & PW_FDB_STATIC;
  __u64 k = *key;

  if ((is_static ? !(run->flags & PW_SWEEP_STATIC) : is_fresh(run, seen.entry.tick)) ||
      !is_meant(run, k, seen.entry.port)) {
    run->kept++;
    return 0;
  }
  if (bpf_map_delete_elem(&fdb, &k)) return 0;
  if (!is_static) fdb_uncount(seen.entry.port);
  run->removed++;
  return 0;
}

/* bpf_for_each_map_elem: kernel >= 5.13. */
static __always_inline void sweep(struct pw_sweep* ctx) {
  struct sweep_run run = {
      .mac = ctx->mac,
      .min_age = ctx->min_age,
      .domain = ctx->domain,
      .domain_mask = ctx->domain_mask,
      .port = ctx->port,
      .flags = ctx->flags,
      .now = tick_now(),
  };

  if (!(ctx->flags & PW_SWEEP_ANSWERS)) bpf_for_each_map_elem(&fdb, sweep_one, &run, 0);
  if (run.removed || ctx->flags & PW_SWEEP_ANSWERS) raise_generation();
  ctx->removed = run.removed;
  ctx->kept = run.kept;
}

#endif
