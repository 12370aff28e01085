/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only */
/* May this frame go to that port? And handing it over if there is one port only. */
#ifndef PORTWRIGHT_LIB_DELIVER_H
#define PORTWRIGHT_LIB_DELIVER_H

#include "counters.h"
#include "frame.h"

/* 1: before kernel 6.15, where bpf_redirect_peer does not make the frame PACKET_HOST. Set by the daemon before loading.
 */
const volatile __u32 pw_change_type = 1;

/*
 * The least layer-3 size of the segments that a GSO frame will be cut into: exact for TCP without options and for UDP
 * fragments, a little low otherwise, so that no frame is refused that would have fitted.
 */
static __always_inline __u32 least_segment(struct __sk_buff* skb, __u32 gso_size) {
  __be16 type = 0;
  __u8 protocol = 0;
  __u32 at = ETH_HLEN;

  bpf_skb_load_bytes(skb, at - 2, &type, sizeof(type));
  if (type == bpf_htons(ETH_P_8021Q) || type == bpf_htons(ETH_P_8021AD)) {
    at += VLAN_HLEN;
    bpf_skb_load_bytes(skb, at - 2, &type, sizeof(type));
  }
  if (type == bpf_htons(ETH_P_IPV6)) {
    bpf_skb_load_bytes(skb, at + 6, &protocol, sizeof(protocol));
    return gso_size + 40 + (protocol == 6 ? 20 : 0);
  }
  bpf_skb_load_bytes(skb, at + 9, &protocol, sizeof(protocol));
  return gso_size + 20 + (protocol == 6 ? 20 : 0);
}

/*
 * bpf_redirect_peer ignores the MTU and a veth drops silently, so it is checked here. The limit is that of
 * is_skb_forwardable() (net/core/dev.c), which the Linux bridge uses: VLAN_HLEN more than the MTU, whether for an inner
 * tag or not. The bridge lets every GSO frame pass; here its segments must fit too.
 */
static __always_inline int too_big(struct __sk_buff* skb, __u32 len, __u32 mtu) {
  __u32 gso_size;

  if (likely(len <= mtu + ETH_HLEN + VLAN_HLEN)) return 0;
  gso_size = skb->gso_size;
  return !gso_size || least_segment(skb, gso_size) > mtu + VLAN_HLEN;
}

static __always_inline int in_vlan(const __u64* set, __u32 vid) {
  return (set[vid / 64 % 64] >> (vid % 64)) & 1;
}

/* What speaks against sending to a port: the same for one destination and for each member of a flood list. */
static __always_inline enum pw_drop egress_check(struct __sk_buff* skb, __u32 len, __u32 vid, __u32 in_flags, __u32 sw,
                                                 const struct pw_port* out) {
  if (unlikely(!out->ifindex)) return PW_DROP_NO_PORT;
  if (unlikely(!(out->flags & PW_PORT_UP))) return PW_DROP_PORT_DOWN;
  if (unlikely(out->switch_id != sw || !in_vlan(out->allowed, vid))) return PW_DROP_EGRESS_VLAN;
  if (unlikely(out->flags & in_flags & PW_PORT_ISOLATED)) return PW_DROP_ISOLATED;
  if (unlikely(too_big(skb, len, out->mtu))) return PW_DROP_MTU;
  return PW_DROP_NONE;
}

static __always_inline int deliver(struct __sk_buff* skb, struct frame* f, __u32 vid, const struct pw_port* in,
                                   __u32 out_id) {
  const struct pw_port* out = bpf_map_lookup_elem(&ports, &out_id);
  __u32 ifindex, flags, slot;
  enum pw_drop reason;

  if (unlikely(!out)) return drop(0, PW_DROP_NO_PORT);
  reason = egress_check(skb, f->len, vid, in->flags, in->switch_id, out);
  if (unlikely(reason)) return drop(out_id, reason);
  ifindex = out->ifindex;
  flags = out->flags;
  slot = slot_of(out, vid);
  if (to_form(skb, f, in_vlan(out->untagged, vid))) return drop(out_id, PW_DROP_REDIRECT);
  count_tx(slot, f->len);
  if (!(flags & PW_PORT_PEER)) return bpf_redirect(ifindex, 0);
  if (pw_change_type) bpf_skb_change_type(skb, PACKET_HOST);
  return bpf_redirect_peer(ifindex, 0);
}

#endif
