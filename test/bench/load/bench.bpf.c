// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
// The sink that every datapath is measured with, and the least that a program on the ingress hook can do.
// clang-format off: bpf_helpers.h needs the types of linux/bpf.h
#include <linux/bpf.h>
#include <linux/if_packet.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_helpers.h>
// clang-format on

char LICENSE[] SEC("license") = "GPL";

/* Frames that arrived: [0] untagged, [1] tagged. */
struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, 2);
  __type(key, __u32);
  __type(value, __u64);
} arrived SEC(".maps");

/* Counts and drops, so that no cost of the receiver's stack hides what the datapaths differ in. */
SEC("tc")
int sink(struct __sk_buff* skb) {
  __u32 tagged = skb->vlan_present ? 1 : 0;
  __u64* n = bpf_map_lookup_elem(&arrived, &tagged);

  if (n) ++*n;
  return TC_ACT_SHOT;
}

const volatile __u32 blind_to = 0;     /* ifindex, fixed at load */
const volatile __u32 blind_change = 1; /* before 6.15 bpf_redirect_peer leaves the packet type as it is */

/* No look-up, no check, no counter: the limit of this hook. */
SEC("tc")
int blind(struct __sk_buff* skb) {
  if (blind_change) bpf_skb_change_type(skb, PACKET_HOST);
  return bpf_redirect_peer(blind_to, 0);
}
