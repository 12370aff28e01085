// SPDX-License-Identifier: Apache-2.0
// clsact with cls_bpf in direct-action mode: the ingress hook of kernels below 6.6. Netlink in the calling thread's
// namespace; libbpf speaks it for the qdisc and the filter.
#include <bpf/libbpf.h>
#include <libmnl/libmnl.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>

#include <memory>

#include "bpf_log.h"
#include "bpf_types.h"

namespace pw::bpf {

namespace {

// Our filter: one fixed place, so that attaching again replaces it in place. The handle ("pw") says whose it is: others
// take 1, or leave the choice to the kernel, which counts from 1.
constexpr uint32_t kHandle = 0x7077, kPriority = 1;

std::string Device(uint32_t ifindex) {
  return "ifindex " + std::to_string(ifindex);
}

bpf_tc_hook Hook(uint32_t ifindex) {
  LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = static_cast<int>(ifindex), .attach_point = BPF_TC_INGRESS);
  return hook;
}

struct CloseSocket {
  void operator()(mnl_socket* socket) const { mnl_socket_close(socket); }
};

}  // namespace

bool HasFilter(uint32_t ifindex, Side side) {
  std::unique_ptr<mnl_socket, CloseSocket> socket(mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC));
  if (!socket || mnl_socket_bind(socket.get(), 0, MNL_SOCKET_AUTOPID) < 0)
    throw KernelError(errno, "socket", "rtnetlink");
  alignas(nlmsghdr) char request[256];
  nlmsghdr* header = mnl_nlmsg_put_header(request);
  header->nlmsg_type = RTM_GETTFILTER;
  header->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
  header->nlmsg_seq = 1;
  auto* tc = static_cast<tcmsg*>(mnl_nlmsg_put_extra_header(header, sizeof(tcmsg)));
  tc->tcm_family = AF_UNSPEC;
  tc->tcm_ifindex = static_cast<int>(ifindex);
  tc->tcm_parent = TC_H_MAKE(TC_H_CLSACT, side == Side::kIngress ? TC_H_MIN_INGRESS : TC_H_MIN_EGRESS);
  if (mnl_socket_sendto(socket.get(), header, header->nlmsg_len) < 0) {
    throw KernelError(errno, "RTM_GETTFILTER", Device(ifindex));
  }
  bool found = false;
  std::vector<char> buffer(32768);
  for (int more = MNL_CB_OK; more == MNL_CB_OK;) {
    ssize_t length = mnl_socket_recvfrom(socket.get(), buffer.data(), buffer.size());
    if (length < 0) throw KernelError(errno, "RTM_GETTFILTER", Device(ifindex));
    more = mnl_cb_run(
        buffer.data(), static_cast<size_t>(length), 1, mnl_socket_get_portid(socket.get()),
        [](const nlmsghdr*, void* flag) {
          *static_cast<bool*>(flag) = true;
          return MNL_CB_OK;
        },
        &found);
    if (more < 0) throw KernelError(errno, "RTM_GETTFILTER", Device(ifindex));
  }
  return found;
}

void AttachClsact(const Object& program, uint32_t ifindex) {
  LogScope log;  // libbpf prints the extended ack
  bpf_tc_hook hook = Hook(ifindex);
  if (int err = bpf_tc_hook_create(&hook); err < 0 && err != -EEXIST) {
    throw KernelError(err, "RTM_NEWQDISC clsact", Device(ifindex), log.Tail());
  }
  LIBBPF_OPTS(bpf_tc_opts, opts, .prog_fd = program.fd(), .flags = BPF_TC_F_REPLACE, .handle = kHandle,
              .priority = kPriority);
  if (int err = bpf_tc_attach(&hook, &opts); err < 0) {
    throw KernelError(err, "RTM_NEWTFILTER", Device(ifindex), log.Tail());
  }
}

uint32_t QueryClsact(uint32_t ifindex) {
  LogScope log;
  bpf_tc_hook hook = Hook(ifindex);
  LIBBPF_OPTS(bpf_tc_opts, opts, .handle = kHandle, .priority = kPriority);
  int err = bpf_tc_query(&hook, &opts);
  if (err == -ENOENT || err == -EINVAL) return 0;  // EINVAL: there is no clsact qdisc
  if (err < 0) throw KernelError(err, "RTM_GETTFILTER", Device(ifindex), log.Tail());
  return opts.prog_id;
}

// Removing a qdisc, also one that never queues, stops the device's transmit queues for an RCU grace period
// (dev_deactivate in qdisc_graft): what others send to it meanwhile is lost. A filter goes without that.
void DetachClsact(uint32_t ifindex, bool keep_qdisc) {
  if (QueryClsact(ifindex) == 0) throw KernelError(ENOENT, "RTM_DELTFILTER", Device(ifindex), "no filter of ours");
  LogScope log;
  bpf_tc_hook hook = Hook(ifindex);
  LIBBPF_OPTS(bpf_tc_opts, opts, .handle = kHandle, .priority = kPriority);
  if (int err = bpf_tc_detach(&hook, &opts); err < 0) {
    throw KernelError(err, "RTM_DELTFILTER", Device(ifindex), log.Tail());
  }
  if (!keep_qdisc && !HasFilter(ifindex, Side::kIngress) && !HasFilter(ifindex, Side::kEgress)) {
    hook.attach_point = static_cast<bpf_tc_attach_point>(BPF_TC_INGRESS | BPF_TC_EGRESS);  // both: the qdisc itself
    if (int err = bpf_tc_hook_destroy(&hook); err < 0) {
      throw KernelError(err, "RTM_DELQDISC clsact", Device(ifindex), log.Tail());
    }
  }
}

}  // namespace pw::bpf
