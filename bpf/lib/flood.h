/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only */
/*
 * Flooding. Members are walked with the frame's present form first, so that at most one push or pop lies between; each
 * copy is a clone but the last, for which the frame itself is redirected. The walk is one behind: a member is sent to
 * when the next one is found. bpf_loop (kernel >= 5.17) verifies the body once; an unrolled or bounded loop over 1024
 * members would cost the verifier a thousand times as much.
 */
#ifndef PORTWRIGHT_LIB_FLOOD_H
#define PORTWRIGHT_LIB_FLOOD_H

#include "counters.h"
#include "deliver.h"
#include "frame.h"

/* What does not change during a walk. */
struct flood_run {
  struct __sk_buff* skb;
  const struct pw_flood* list;
  __u32 members;
  __u32 first; /* index where the walk starts; it wraps */
  __u32 vid;
  __u32 in_id;
  __u32 in_flags;
  __u32 sw;
  __u32 need; /* flags that a member must have */
};

/*
 * What does. In a map and not on the stack: verifiers before 6.7 check a callback as if it ran once, and remove as dead
 * code what a first round from known stack contents cannot reach, here the sending of copies. One walk at a time runs
 * on a CPU, since the hook runs in softirq and a copy to a device goes no further than its queue or backlog.
 */
struct flood_walk {
  struct frame frame;
  __u32 handled; /* copies sent or counted as dropped */
  __u32 waiting; /* ifindex of the member found last; 0: none */
  __u32 waiting_id;
  __u32 waiting_slot;
};

struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct flood_walk);
} flood_walk SEC(".maps");

static __always_inline void send_waiting_copy(struct flood_run* run, struct flood_walk* walk) {
  if (bpf_clone_redirect(run->skb, walk->waiting, 0))
    drop(walk->waiting_id, PW_DROP_REDIRECT);
  else
    count_tx(walk->waiting_slot, walk->frame.len);
  walk->waiting = 0;
}

static long flood_one(__u32 i, struct flood_run* run) {
  __u32 id, ifindex, slot, zero = 0;
  const struct pw_port* out;
  struct flood_walk* walk;
  enum pw_drop reason;
  int untagged;

  i += run->first;
  if (i >= run->members) i -= run->members;
  if (i >= PW_FLOOD_MAX) return 1;
  id = run->list->member[i];
  if (id == run->in_id && !(run->in_flags & PW_PORT_HAIRPIN)) return 0;
  out = bpf_map_lookup_elem(&ports, &id);
  walk = bpf_map_lookup_elem(&flood_walk, &zero);
  if (!out || !walk || (out->flags & run->need) != run->need) return 0;
  walk->handled++;
  reason = egress_check(run->skb, walk->frame.len, run->vid, run->in_flags, run->sw, out);
  if (reason) {
    drop(id, reason);
    return 0;
  }
  ifindex = out->ifindex;
  slot = slot_of(out, run->vid);
  untagged = in_vlan(out->untagged, run->vid);
  if (walk->waiting) send_waiting_copy(run, walk);
  if (to_form(run->skb, &walk->frame, untagged)) {
    drop(id, PW_DROP_REDIRECT);
    return 0;
  }
  walk->waiting = ifindex;
  walk->waiting_id = id;
  walk->waiting_slot = slot;
  return 0;
}

static __noinline int flood_frame(struct __sk_buff* skb, const struct frame* f, __u32 vid, __u32 in_id, __u32 need) {
  struct flood_run run = {.skb = skb, .vid = vid, .in_id = in_id, .need = need};
  __u32 domain, untagged, zero = 0;
  struct pw_port_stats* stats;
  const struct pw_port* in;
  struct flood_walk* walk;

  in = bpf_map_lookup_elem(&ports, &in_id);
  walk = bpf_map_lookup_elem(&flood_walk, &zero);
  if (!in || !walk || !f) return TC_ACT_SHOT;
  run.in_flags = in->flags;
  run.sw = in->switch_id;
  domain = PW_DOMAIN(in->switch_id, vid);
  run.list = bpf_map_lookup_elem(&flood, &domain);
  if (!run.list) return drop(in_id, PW_DROP_NO_MEMBER);
  untagged = run.list->n_untagged;
  run.members = untagged + run.list->n_tagged;
  if (f->form == FORM_TAGGED && untagged < run.members) run.first = untagged;
  walk->frame = *f;
  walk->handled = 0;
  walk->waiting = 0;

  stats = bpf_map_lookup_elem(&port_stats, &in_id);
  if (stats) stats->flood_packets++;
  bpf_loop(run.members, flood_one, &run, 0);
  if (!walk->handled) return drop(in_id, PW_DROP_NO_MEMBER);
  if (!walk->waiting) return TC_ACT_SHOT; /* every copy was refused, and counted where it was for */
  count_tx(walk->waiting_slot, walk->frame.len);
  /* Not bpf_redirect_peer: it would make a broadcast or somebody else's frame look addressed to the pod. */
  return bpf_redirect(walk->waiting, 0);
}

#endif
