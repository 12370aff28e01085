// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
// The two ends of the frame source (load/live.c): frames are put on a pod's veth by XDP_REDIRECT, and the other end of
// the veth takes them, which it does only while it has an XDP program.
// clang-format off: bpf_helpers.h needs the types of linux/bpf.h
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
// clang-format on

char LICENSE[] SEC("license") = "GPL";

const volatile __u32 source_to = 0; /* ifindex, fixed at load */

SEC("xdp")
int source(struct xdp_md* ctx) {
  return bpf_redirect(source_to, 0);
}

SEC("xdp")
int inlet(struct xdp_md* ctx) {
  return XDP_PASS;
}
