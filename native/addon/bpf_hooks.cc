// SPDX-License-Identifier: Apache-2.0
// Who else handles the frames of a device: programs and filters take them before the switch sees them, or after it.
#include <bpf/libbpf.h>
#include <linux/if_link.h>

#include "bpf_log.h"
#include "bpf_types.h"

namespace pw::bpf {

namespace {

// Kernels before 6.6 know no tcx.
bool HasTcxProgram(uint32_t ifindex, Side side) {
  try {
    return !QueryTcx(ifindex, side).empty();
  } catch (const KernelError& error) {
    if (error.err == EINVAL) return false;
    throw;
  }
}

bool HasXdpProgram(uint32_t ifindex) {
  LogScope log;
  LIBBPF_OPTS(bpf_xdp_query_opts, opts);
  if (int err = bpf_xdp_query(static_cast<int>(ifindex), 0, &opts); err < 0) {
    throw KernelError(err, "RTM_GETLINK", "ifindex " + std::to_string(ifindex), log.Tail());
  }
  return opts.attach_mode != XDP_ATTACHED_NONE;
}

}  // namespace

std::vector<std::string> UsedHooks(uint32_t ifindex) {
  std::vector<std::string> used;
  if (HasXdpProgram(ifindex)) used.push_back("XDP");
  for (Side side : {Side::kIngress, Side::kEgress}) {
    const std::string name = side == Side::kIngress ? " ingress" : " egress";
    if (HasTcxProgram(ifindex, side)) used.push_back("tcx" + name);
    if (HasFilter(ifindex, side)) used.push_back("tc" + name);
  }
  return used;
}

}  // namespace pw::bpf
