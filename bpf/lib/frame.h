/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only */
/* A frame as the switch sees it: addresses, VLAN, and the form in which it carries its 802.1Q tag. */
#ifndef PORTWRIGHT_LIB_FRAME_H
#define PORTWRIGHT_LIB_FRAME_H

#include "common.h"

enum form {
  FORM_UNTAGGED, /* no 802.1Q tag; an 802.1ad tag is payload to this switch */
  FORM_TAGGED,
  FORM_PRIORITY, /* a tag with VID 0: to be removed or replaced, never sent on */
};

struct frame {
  __u64 dst; /* as in the FDB key, domain bits 0 */
  __u64 src;
  __u32 len; /* as counted and as compared with an MTU: Ethernet header and payload, no 802.1Q tag, no FCS */
  __u16 tci; /* of the tag that it leaves with, if tagged */
  __u8 form;
  __u8 tagged; /* has a VID of its own */
};

#define FDB_MAC_MASK 0xffffffffffff0000ULL
#define MAC_GROUP_BIT (1ULL << 56)
#define RESERVED_MAC 0x0180c200000ULL /* upper 44 bits of 01:80:c2:00:00:00-0f, IEEE 802.1Q table 8-1 */

static __always_inline int is_group(__u64 mac) {
  return (mac & MAC_GROUP_BIT) != 0;
}

static __always_inline int is_reserved(__u64 mac) {
  return mac >> 20 == RESERVED_MAC;
}

/*
 * At tc ingress the kernel has moved the outermost tag of either kind into the metadata, also for frames of raw senders
 * (skb_vlan_untag in __netif_receive_skb_core). A tag in the payload behind no metadata is seen in test runs and from
 * odd drivers; it must not pass for an untagged frame. The helpers that pop and push handle both places.
 */
static __always_inline enum pw_drop parse_tag(struct __sk_buff* skb, struct frame* f, __u16 ethertype) {
  __u16 tci;

  f->len = skb->len;
  f->form = FORM_UNTAGGED;
  f->tagged = 0;
  f->tci = 0;
  if (skb->vlan_present) {
    if (unlikely(skb->vlan_proto != bpf_htons(ETH_P_8021Q))) {
      f->len += VLAN_HLEN;
      return PW_DROP_NONE;
    }
    tci = skb->vlan_tci;
  } else if (unlikely(ethertype == ETH_P_8021Q)) {
    __be16 be;

    if (bpf_skb_load_bytes(skb, ETH_HLEN, &be, sizeof(be)) || skb->len < ETH_HLEN + VLAN_HLEN) return PW_DROP_RUNT;
    tci = bpf_ntohs(be);
    f->len -= VLAN_HLEN;
  } else {
    return PW_DROP_NONE;
  }
  f->tci = tci;
  f->tagged = (tci & VLAN_VID_MASK) != 0;
  f->form = f->tagged ? FORM_TAGGED : FORM_PRIORITY;
  return PW_DROP_NONE;
}

static __always_inline enum pw_drop parse(struct __sk_buff* skb, struct frame* f) {
  void* data = (void*)(long)skb->data;
  __u64 second;

  if (unlikely(data + ETH_HLEN > (void*)(long)skb->data_end)) {
    if (bpf_skb_pull_data(skb, ETH_HLEN)) return PW_DROP_RUNT;
    data = (void*)(long)skb->data;
    if (data + ETH_HLEN > (void*)(long)skb->data_end) return PW_DROP_RUNT;
  }
  /* Two loads hold all 14 octets: destination and the head of the source; source and EtherType. */
  f->dst = bpf_be64_to_cpu(*(__u64*)data) & FDB_MAC_MASK;
  second = bpf_be64_to_cpu(*(__u64*)(data + 6));
  f->src = second & FDB_MAC_MASK;
  return parse_tag(skb, f, (__u16)second);
}

/* Brings the frame into the form in which a port sends it. 0 or an errno; f->form stays true either way. */
static __always_inline int to_form(struct __sk_buff* skb, struct frame* f, int untagged) {
  int err;

  if (f->form == (untagged ? FORM_UNTAGGED : FORM_TAGGED)) return 0;
  if (f->form != FORM_UNTAGGED) {
    err = bpf_skb_vlan_pop(skb);
    if (err) return err;
    f->form = FORM_UNTAGGED;
  }
  if (untagged) return 0;
  err = bpf_skb_vlan_push(skb, bpf_htons(ETH_P_8021Q), f->tci);
  if (!err) f->form = FORM_TAGGED;
  return err;
}

#endif
