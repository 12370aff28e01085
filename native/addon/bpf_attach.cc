// SPDX-License-Identifier: Apache-2.0
// tcx links (Linux 6.6), by the raw system call's layout where libbpf 1.1.2 is older. Kernels below: bpf_clsact.cc.
#include <algorithm>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstddef>

#include "bpf_types.h"

namespace pw::bpf {

namespace {

constexpr auto kTcxIngress = static_cast<bpf_attach_type>(46);  // BPF_TCX_INGRESS, uapi/linux/bpf.h of 6.6
constexpr auto kTcxEgress = static_cast<bpf_attach_type>(47);

// The part of union bpf_attr for BPF_PROG_QUERY as of 6.6.
struct QueryAttr {
  uint32_t target_ifindex;
  uint32_t attach_type;
  uint32_t query_flags;
  uint32_t attach_flags;
  uint64_t prog_ids;
  uint32_t count;
  uint32_t pad;
  uint64_t prog_attach_flags;
  uint64_t link_ids;
  uint64_t link_attach_flags;
  uint64_t revision;
};
static_assert(sizeof(QueryAttr) == 64 && offsetof(QueryAttr, link_ids) == 40, "uapi/linux/bpf.h");

std::string Device(uint32_t ifindex) {
  return "ifindex " + std::to_string(ifindex);
}

}  // namespace

ObjectRef AttachTcx(const Object& program, uint32_t ifindex) {
  int fd = bpf_link_create(program.fd(), static_cast<int>(ifindex), kTcxIngress, nullptr);
  if (fd < 0) throw KernelError(fd, "BPF_LINK_CREATE", Device(ifindex));
  return Adopt(Kind::kLink, fd);
}

std::vector<TcxProgram> QueryTcx(uint32_t ifindex, Side side) {
  for (uint32_t room = 16;;) {
    std::vector<uint32_t> programs(room), links(room);
    QueryAttr attr{};
    attr.target_ifindex = ifindex;
    attr.attach_type = side == Side::kIngress ? kTcxIngress : kTcxEgress;
    attr.prog_ids = reinterpret_cast<uintptr_t>(programs.data());
    attr.link_ids = reinterpret_cast<uintptr_t>(links.data());
    attr.count = room;
    if (syscall(SYS_bpf, BPF_PROG_QUERY, &attr, sizeof attr) < 0) {
      if (errno == ENOENT) return {};  // the hook was never used on this device
      if (errno == ENOSPC && attr.count > room) {
        room = attr.count;
        continue;
      }
      throw KernelError(errno, "BPF_PROG_QUERY", Device(ifindex));
    }
    std::vector<TcxProgram> out;
    for (uint32_t i = 0; i < attr.count && i < room; i++) out.push_back({programs[i], links[i]});
    return out;
  }
}

namespace {

// One system call and no allocation in the usual case of a few programs on the hook.
bool HangsOnTcx(uint32_t program_id, uint32_t ifindex) {
  constexpr uint32_t kUsual = 16;
  uint32_t programs[kUsual];
  QueryAttr attr{};
  attr.target_ifindex = ifindex;
  attr.attach_type = kTcxIngress;
  attr.prog_ids = reinterpret_cast<uintptr_t>(programs);
  attr.count = kUsual;
  if (syscall(SYS_bpf, BPF_PROG_QUERY, &attr, sizeof attr) == 0) {
    return std::find(programs, programs + std::min(attr.count, kUsual), program_id) !=
           programs + std::min(attr.count, kUsual);
  }
  if (errno == ENOENT) return false;
  if (errno != ENOSPC) throw KernelError(errno, "BPF_PROG_QUERY", Device(ifindex));
  const std::vector<TcxProgram> all = QueryTcx(ifindex);
  return std::any_of(all.begin(), all.end(), [&](const TcxProgram& one) { return one.program_id == program_id; });
}

}  // namespace

// Of these links, the ones whose ingress hook lacks the program. One call for all, for it is made every second: no
// event tells of a program that was taken off its hook. A link that is gone is not among them: that has an event.
std::vector<uint32_t> LinksWithout(HookKind hook, uint32_t program_id, const std::vector<uint32_t>& ifindexes) {
  std::vector<uint32_t> out;
  for (uint32_t ifindex : ifindexes) {
    try {
      const bool hangs = hook == HookKind::kTcx ? HangsOnTcx(program_id, ifindex) : QueryClsact(ifindex) == program_id;
      if (!hangs) out.push_back(ifindex);
    } catch (const KernelError& error) {
      if (error.err != ENODEV) throw;
    }
  }
  return out;
}

void UpdateLink(const Object& link, const Object& program) {
  // ENOLINK: the device is gone (tcx_link_update).
  if (int err = bpf_link_update(link.fd(), program.fd(), nullptr); err < 0) {
    throw KernelError(err, "BPF_LINK_UPDATE", "link " + std::to_string(link.info().id));
  }
}

void DetachLink(const Object& link) {
  if (int err = bpf_link_detach(link.fd()); err < 0) {
    throw KernelError(err, "BPF_LINK_DETACH", "link " + std::to_string(link.info().id));
  }
}

}  // namespace pw::bpf
