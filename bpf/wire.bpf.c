// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
// A wire: whatever comes in leaves by another link of the same namespace, as it is (tag, GSO, checksum), and nothing
// reaches the stack. Two of them join a tap in a workload's namespace with the veth that leads to the switch.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/* Interface index; set before loading. A frame for a link that is gone or down is dropped. */
const volatile __u32 pw_wire_to = 0;

SEC("tc")
int wire(struct __sk_buff* skb) {
  return bpf_redirect(pw_wire_to, 0);
}
