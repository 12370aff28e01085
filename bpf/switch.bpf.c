// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
// The VLAN switch. `port_ingress` hangs on the tcx (or clsact) ingress hook of every port, workload or uplink: what
// comes in at the host's end of a veth is what the workload sent. Egress policy is here too, since bpf_redirect_peer
// passes by the host side's egress hook. `clock` and `fdb_sweep` are run by the daemon.
//
// Semantics are those of the Linux bridge with vlan_filtering 1 and default_pvid 0, with these differences:
// - frames to 01:80:c2:00:00:00-0f go to the host, all of them, and nothing is learned from them (the bridge drops
//   01, and learns unless no_linklocal_learn is set);
// - the segments of GSO frames must fit the MTU (lib/deliver.h);
// - a sticky address seen on another port is dropped (the bridge forwards it without learning).
#include "lib/common.h"
#include "lib/counters.h"
#include "lib/deliver.h"
#include "lib/fdb.h"
#include "lib/flood.h"
#include "lib/frame.h"

char LICENSE[] SEC("license") = "GPL";

static __always_inline __u32 port_of(__u32 ifindex) {
  __u32* id;

  if (likely(ifindex < PW_DENSE_IFINDEX))
    id = bpf_map_lookup_elem(&if2port, &ifindex);
  else
    id = bpf_map_lookup_elem(&if2port_high, &ifindex);
  return id ? *id : 0;
}

/* Classification: sets vid. The tag that the frame would leave with keeps the PCP and DEI it came with. */
static __always_inline enum pw_drop classify(struct frame* f, const struct pw_port* port, __u32* vid) {
  __u32 id = f->tci & VLAN_VID_MASK;

  if (!f->tagged) {
    id = port->pvid;
    if (unlikely(!id)) return PW_DROP_UNTAGGED;
    f->tci |= id;
  }
  if (unlikely(id == VLAN_VID_RESERVED)) return PW_DROP_RESERVED_VID;
  if (unlikely(!in_vlan(port->allowed, id))) return PW_DROP_VLAN_NOT_ALLOWED;
  *vid = id;
  return PW_DROP_NONE;
}

static __always_inline int is_spoofed(const struct pw_port* port, const struct frame* f) {
  return port->source && port->source != f->src;
}

SEC("tc")
int port_ingress(struct __sk_buff* skb) {
  __u32 ifindex = skb->ifindex, id = port_of(ifindex), vid = 0, domain, to_id, now, generation;
  struct pw_fdb_entry* to;
  struct pw_port* port;
  enum pw_drop reason;
  struct frame f;
  __u64 src, dst;
  struct recent* place;
  int known;

  /* A device without a port is one that is coming or going: nothing of it may reach the host or a port. */
  port = bpf_map_lookup_elem(&ports, &id);
  if (unlikely(!port || port->ifindex != ifindex)) return drop(0, PW_DROP_NO_PORT);
  if (unlikely(!(port->flags & PW_PORT_UP))) return drop(id, PW_DROP_PORT_DOWN);

  reason = parse(skb, &f);
  if (unlikely(reason)) return drop(id, reason);
  if (unlikely(is_group(f.src) || !f.src)) return drop(id, PW_DROP_BAD_SOURCE);
  if (unlikely(is_reserved(f.dst))) return is_spoofed(port, &f) ? drop(id, PW_DROP_SPOOFED) : TC_ACT_OK;
  reason = classify(&f, port, &vid);
  if (unlikely(reason)) return drop(id, reason);
  domain = PW_DOMAIN(port->switch_id, vid);

  src = f.src | domain;
  dst = f.dst | domain;
  now = tick_now();
  generation = generation_now();
  place = recent_place(src, dst);
  if (unlikely(!place)) return TC_ACT_SHOT;
  if (likely(recent_holds(place, src, dst, id, now, generation))) {
    count_rx(slot_of(port, vid), f.len);
    return deliver(skb, &f, vid, port, place->out);
  }

  if (unlikely(is_spoofed(port, &f))) return drop(id, PW_DROP_SPOOFED);
  known = !(port->flags & PW_PORT_LEARN);
  if (!known) {
    reason = fdb_source(src, id, port->fdb_limit, now, &known);
    if (unlikely(reason)) return drop(id, reason);
  }
  count_rx(slot_of(port, vid), f.len);

  if (is_group(dst)) return flood_frame(skb, &f, vid, id, 0);
  to = bpf_map_lookup_elem(&fdb, &dst);
  if (unlikely(!to)) return flood_frame(skb, &f, vid, id, PW_PORT_FLOOD);
  to_id = *(volatile __u16*)&to->port;
  if (unlikely(to_id == id && !(port->flags & PW_PORT_HAIRPIN))) return drop(id, PW_DROP_HAIRPIN);
  if (known) {
    place->src = src;
    place->dst = dst;
    place->tick = now;
    place->generation = generation;
    place->in = id;
    place->out = to_id;
  }
  return deliver(skb, &f, vid, port, to_id);
}

/* Relates ticks to time: BPF_PROG_TEST_RUN with struct pw_clock as the context. */
SEC("syscall")
int clock(struct pw_clock* ctx) {
  ctx->jiffies = bpf_jiffies64();
  ctx->time_ns = bpf_ktime_get_ns();
  return 0;
}

SEC("syscall")
int fdb_sweep(struct pw_sweep* ctx) {
  sweep(ctx);
  return 0;
}
