/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only */
/* Every map of the switch. Names are part of the contract: pins carry them. */
#ifndef PORTWRIGHT_LIB_MAPS_H
#define PORTWRIGHT_LIB_MAPS_H

#include "common.h"

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct pw_config);
} config SEC(".maps");

/* ifindex -> port id; an array look-up is inlined by the verifier, a hash costs 39 ns. */
struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, PW_DENSE_IFINDEX);
  __type(key, __u32);
  __type(value, __u32);
} if2port SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, PW_MAX_PORTS);
  __type(key, __u32);
  __type(value, __u32);
} if2port_high SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, PW_MAX_PORTS);
  __type(key, __u32);
  __type(value, struct pw_port);
} ports SEC(".maps");

/*
 * Not LRU: random source addresses would push static entries out. Preallocated: no allocation while learning, and an
 * entry that is read while it is removed is still an entry.
 */
struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, PW_FDB_MAX);
  __type(key, __u64);
  __type(value, struct pw_fdb_entry);
} fdb SEC(".maps");

/* Learned entries of a port, kept with atomics. */
struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, PW_MAX_PORTS);
  __type(key, __u32);
  __type(value, __u32);
} fdb_count SEC(".maps");

/* Raised whenever an entry moves or is removed; see lib/recent.h. */
struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, __u32);
} fdb_generation SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __uint(max_entries, PW_MAX_SWITCHES* PW_MAX_VLANS);
  __type(key, __u32);
  __type(value, struct pw_flood);
} flood SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, PW_SLOTS_MAX);
  __type(key, __u32);
  __type(value, struct pw_counters);
} counters SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, PW_MAX_PORTS);
  __type(key, __u32);
  __type(value, struct pw_drops);
} drops SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, PW_MAX_PORTS);
  __type(key, __u32);
  __type(value, struct pw_port_stats);
} port_stats SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_RINGBUF);
  __uint(max_entries, 256 * 1024);
} events SEC(".maps");

#endif
