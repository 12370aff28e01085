// SPDX-License-Identifier: Apache-2.0
// Open BPF objects: what the kernel says of them, pins, test runs, and closing.
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/magic.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cstring>
#include <mutex>
#include <unordered_set>

#include "bpf_types.h"

namespace pw::bpf {

namespace {

// BPF_LINK_TYPE_TCX (6.6) and its part of struct bpf_link_info {ifindex, attach_type}, which has the place of
// xdp.ifindex. The header of libbpf 1.1.2 is older.
constexpr uint32_t kLinkTypeTcx = 11;

// Objects by the thread that opened them. The set outlives the thread: an object may be destroyed elsewhere.
struct Registry {
  std::mutex mutex;
  std::unordered_set<Object*> open;
};
std::shared_ptr<Registry> ThisThread() {
  thread_local auto registry = std::make_shared<Registry>();
  return registry;
}

template <class T>
T InfoOf(int fd, const char* op, const std::string& object) {
  T info;
  std::memset(&info, 0, sizeof info);
  uint32_t length = sizeof info;
  if (int err = bpf_obj_get_info_by_fd(fd, &info, &length); err < 0) throw KernelError(err, op, object);
  return info;
}

std::string Hex(const unsigned char* bytes, size_t n) {
  static const char digits[] = "0123456789abcdef";
  std::string out;
  for (size_t i = 0; i < n; i++) {
    out += digits[bytes[i] >> 4];
    out += digits[bytes[i] & 15];
  }
  return out;
}

Info Describe(Kind kind, int fd, const std::string& what) {
  Info out;
  switch (kind) {
    case Kind::kMap: {
      auto info = InfoOf<bpf_map_info>(fd, "BPF_OBJ_GET_INFO_BY_FD", what);
      out.name = info.name;
      out.id = info.id;
      out.type = info.type;
      out.key_size = info.key_size;
      out.value_size = info.value_size;
      out.max_entries = info.max_entries;
      out.map_flags = info.map_flags;
      break;
    }
    case Kind::kProgram: {
      auto info = InfoOf<bpf_prog_info>(fd, "BPF_OBJ_GET_INFO_BY_FD", what);
      out.name = info.name;
      out.id = info.id;
      out.type = info.type;
      out.tag = Hex(info.tag, sizeof info.tag);
      break;
    }
    case Kind::kLink: {
      auto info = InfoOf<bpf_link_info>(fd, "BPF_OBJ_GET_INFO_BY_FD", what);
      out.id = info.id;
      out.type = info.type;
      out.program_id = info.prog_id;
      if (info.type == kLinkTypeTcx || info.type == BPF_LINK_TYPE_XDP) out.ifindex = info.xdp.ifindex;
      break;
    }
  }
  return out;
}

const char* KindName(Kind kind) {
  return kind == Kind::kMap ? "map" : kind == Kind::kProgram ? "program" : "link";
}

// An fd of another kind answers BPF_OBJ_GET_INFO_BY_FD too, with fields of its own kind at other places. The kernel
// names anonymous inodes by kind: bpf-map, bpf-prog, bpf_link.
Kind KindOf(int fd, const std::string& path) {
  char target[64] = {};
  std::string self = "/proc/self/fd/" + std::to_string(fd);
  if (readlink(self.c_str(), target, sizeof target - 1) < 0) throw KernelError(errno, "readlink", self);
  if (std::strstr(target, "bpf-map")) return Kind::kMap;
  if (std::strstr(target, "bpf-prog")) return Kind::kProgram;
  if (std::strstr(target, "bpf_link") || std::strstr(target, "bpf-link")) return Kind::kLink;
  throw KernelError(EINVAL, "BPF_OBJ_GET", path, std::string("unknown kind of BPF object: ") + target);
}

}  // namespace

bool IsPerCpu(uint32_t type) {
  return type == BPF_MAP_TYPE_PERCPU_HASH || type == BPF_MAP_TYPE_PERCPU_ARRAY ||
         type == BPF_MAP_TYPE_LRU_PERCPU_HASH || type == BPF_MAP_TYPE_PERCPU_CGROUP_STORAGE;
}

int PossibleCpus() {
  int n = libbpf_num_possible_cpus();
  if (n < 0) throw KernelError(n, "read", "/sys/devices/system/cpu/possible");
  return n;
}

Object::Object(Kind kind, int fd, Info info)
    : kind_(kind), fd_(fd), info_(std::move(info)), value_bytes_(info_.value_size), registry_(ThisThread()) {
  if (kind_ == Kind::kMap && IsPerCpu(info_.type)) {
    value_bytes_ = (size_t{info_.value_size} + 7) / 8 * 8 * static_cast<size_t>(PossibleCpus());
  }
  auto* registry = static_cast<Registry*>(registry_.get());
  std::lock_guard<std::mutex> lock(registry->mutex);
  registry->open.insert(this);
}

Object::~Object() {
  Close();
}

int Object::fd() const {
  int fd = fd_.load();
  if (fd < 0) throw KernelError(EBADF, "bpf", info_.name, std::string("the ") + KindName(kind_) + " is closed");
  return fd;
}

void Object::Close() {
  int fd = fd_.exchange(-1);
  if (fd < 0) return;
  {
    auto* registry = static_cast<Registry*>(registry_.get());
    std::lock_guard<std::mutex> lock(registry->mutex);
    registry->open.erase(this);
  }
  close(fd);
}

void CloseAllOfThisThread() {
  auto registry = ThisThread();
  std::vector<int> fds;
  {
    std::lock_guard<std::mutex> lock(registry->mutex);
    for (Object* object : registry->open) fds.push_back(object->fd_.exchange(-1));
    registry->open.clear();
  }
  for (int fd : fds) {
    if (fd >= 0) close(fd);
  }
}

ObjectRef Adopt(Kind kind, int fd, const char* full_name) {
  try {
    Info info = Describe(kind, fd, full_name ? full_name : "");
    if (full_name) info.name = full_name;
    return std::make_shared<Object>(kind, fd, std::move(info));
  } catch (...) {
    close(fd);
    throw;
  }
}

ObjectRef Open(Kind kind, const std::string& path) {
  int fd = bpf_obj_get(path.c_str());
  if (fd < 0) throw KernelError(fd, "BPF_OBJ_GET", path);
  try {
    if (KindOf(fd, path) != kind) {
      throw KernelError(EINVAL, "BPF_OBJ_GET", path, std::string("the pin does not hold a ") + KindName(kind));
    }
  } catch (...) {
    close(fd);
    throw;
  }
  return Adopt(kind, fd);
}

void Pin(const Object& object, const std::string& path) {
  if (int err = bpf_obj_pin(object.fd(), path.c_str()); err < 0) throw KernelError(err, "BPF_OBJ_PIN", path);
}

void Unpin(const std::string& path) {
  // Only ever removes pins: a wrong path must not cost a file.
  struct statfs fs;
  size_t slash = path.rfind('/');
  std::string dir = slash == std::string::npos ? "." : slash == 0 ? "/" : path.substr(0, slash);
  if (statfs(dir.c_str(), &fs) < 0) throw KernelError(errno, "statfs", dir);
  if (static_cast<uint32_t>(fs.f_type) != BPF_FS_MAGIC) throw KernelError(EINVAL, "unlink", path, "not on a bpffs");
  if (unlink(path.c_str()) < 0) throw KernelError(errno, "unlink", path);
}

TestRunResult RunTest(const Object& program, const TestRun& run) {
  TestRunResult out;
  LIBBPF_OPTS(bpf_test_run_opts, opts);
  // The kernel writes a syscall program's context back in place and refuses everything else
  // (bpf_prog_test_run_syscall).
  Bytes context = run.context.value_or(Bytes());
  const bool syscall_program = program.info().type == BPF_PROG_TYPE_SYSCALL;
  if (run.context) {
    opts.ctx_in = context.data();
    opts.ctx_size_in = context.size();
  }
  if (!syscall_program) {
    // XDP takes an output context only together with one that fits the data (bpf_prog_test_run_xdp).
    if (run.context || program.info().type == BPF_PROG_TYPE_SCHED_CLS) {
      out.context.resize(context.size() + 256);  // room for a struct __sk_buff that is longer than the caller's
      opts.ctx_out = out.context.data();
      opts.ctx_size_out = out.context.size();
    }
    opts.repeat = run.repeat == 0 ? 1 : static_cast<int>(run.repeat);
    if (run.data) {
      out.data.resize(run.data->size() + 256);  // a program may push headers
      opts.data_in = run.data->data();
      opts.data_size_in = run.data->size();
      opts.data_out = out.data.data();
      opts.data_size_out = out.data.size();
    }
  } else if (run.data || run.repeat != 0) {
    throw KernelError(EINVAL, "BPF_PROG_TEST_RUN", program.info().name, "a syscall program takes a context only");
  }
  if (int err = bpf_prog_test_run_opts(program.fd(), &opts); err < 0) {
    throw KernelError(err, "BPF_PROG_TEST_RUN", program.info().name);
  }
  out.return_value = opts.retval;
  out.duration_ns = opts.duration;
  out.data.resize(run.data && !syscall_program ? opts.data_size_out : 0);
  if (syscall_program) {
    out.context = std::move(context);
  } else {
    out.context.resize(opts.ctx_size_out);
  }
  return out;
}

}  // namespace pw::bpf
