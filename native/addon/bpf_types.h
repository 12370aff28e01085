// SPDX-License-Identifier: Apache-2.0
// What the BPF side passes around: an open object with what the kernel says of it, and the results of the calls on it.
// Everything here lives on the namespace's thread; bpf_bind*.cc turns it into JavaScript values.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "error.h"

namespace pw::bpf {

using Bytes = std::vector<uint8_t>;

enum class Kind { kMap, kProgram, kLink };

// What BPF_OBJ_GET_INFO_BY_FD says, by kind.
struct Info {
  std::string name;  // the object file's name where it is known: the kernel keeps 15 bytes only
  uint32_t id = 0;
  uint32_t type = 0;  // BPF_MAP_TYPE_*, BPF_PROG_TYPE_* or BPF_LINK_TYPE_*
  uint32_t key_size = 0, value_size = 0, max_entries = 0, map_flags = 0;
  std::string tag;          // program: hex
  uint32_t program_id = 0;  // link
  uint32_t ifindex = 0;     // link: 0 when its device is gone
};

// One open descriptor of a BPF object. Work in flight shares it; Close() runs on the namespace's thread after that
// work, because closing the last reference of a link detaches it, which can block. The destructor is a safety net.
class Object {
 public:
  Object(Kind kind, int fd, Info info);
  ~Object();
  Object(const Object&) = delete;
  Object& operator=(const Object&) = delete;

  int fd() const;  // throws EBADF when closed
  void Close();    // idempotent
  Kind kind() const { return kind_; }
  const Info& info() const { return info_; }
  size_t value_bytes() const { return value_bytes_; }  // of one entry: all CPUs for per-CPU maps

 private:
  const Kind kind_;
  std::atomic<int> fd_;
  const Info info_;
  size_t value_bytes_ = 0;
  const std::shared_ptr<void> registry_;  // of the thread that opened it
  friend void CloseAllOfThisThread();
};
using ObjectRef = std::shared_ptr<Object>;

// Closes every object that this thread opened and that is still open: for the end of the namespace's thread.
void CloseAllOfThisThread();

bool IsPerCpu(uint32_t map_type);
int PossibleCpus();

struct LoadOptions {
  std::string file;
  std::string map_pin_dir;  // empty: pin nothing
  std::vector<std::pair<std::string, double>> constants;
  std::vector<std::pair<std::string, uint32_t>> max_entries;
};
struct Loaded {
  std::vector<ObjectRef> maps, programs;
  uint64_t writes = 0;  // maps that were pinned
};
// A failed load: what KernelError says, and the whole log of libbpf and the verifier.
struct LoadError : KernelError {
  std::string log;
  LoadError(KernelError e, std::string l) : KernelError(std::move(e)), log(std::move(l)) {}
};

struct TestRun {
  std::optional<Bytes> data, context;
  uint32_t repeat = 0;
};
struct TestRunResult {
  uint32_t return_value = 0, duration_ns = 0;
  Bytes data, context;
};

struct Entries {
  size_t count = 0;
  Bytes keys, values;
};

struct TcxProgram {
  uint32_t program_id, link_id;
};

// bpf_load.cc
Loaded Load(const LoadOptions& options);

// bpf_objects.cc
ObjectRef Adopt(Kind kind, int fd, const char* full_name = nullptr);  // takes the fd, also when it throws
ObjectRef Open(Kind kind, const std::string& path);
void Pin(const Object& object, const std::string& path);
void Unpin(const std::string& path);
TestRunResult RunTest(const Object& program, const TestRun& run);

// bpf_attach.cc, bpf_clsact.cc
enum class Side { kIngress, kEgress };
ObjectRef AttachTcx(const Object& program, uint32_t ifindex);
std::vector<TcxProgram> QueryTcx(uint32_t ifindex, Side side = Side::kIngress);
bool HasFilter(uint32_t ifindex, Side side);  // of whomever, in clsact or ingress
void UpdateLink(const Object& link, const Object& program);
void DetachLink(const Object& link);
void AttachClsact(const Object& program, uint32_t ifindex);
void DetachClsact(uint32_t ifindex, bool keep_qdisc);
uint32_t QueryClsact(uint32_t ifindex);  // the program in our filter, 0 if there is none
enum class HookKind { kTcx, kClsact };
std::vector<uint32_t> LinksWithout(HookKind hook, uint32_t program_id, const std::vector<uint32_t>& ifindexes);

// bpf_hooks.cc
std::vector<std::string> UsedHooks(uint32_t ifindex);

// bpf_map.cc. `keys` and `values` hold whole entries one after another.
std::optional<Bytes> Lookup(const Object& map, const Bytes& key);
void Update(const Object& map, const Bytes& key, const Bytes& value, uint64_t flags);
bool Remove(const Object& map, const Bytes& key);
Entries ReadAll(const Object& map);
struct Found {
  Bytes present;  // one byte a key: 1 found, 0 absent
  Bytes values;   // value_bytes a key; zero where absent
};
Found LookupMany(const Object& map, const Bytes& keys);
size_t UpdateMany(const Object& map, const Bytes& keys, const Bytes& values, uint64_t flags);
size_t RemoveMany(const Object& map, const Bytes& keys);

}  // namespace pw::bpf
