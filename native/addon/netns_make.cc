// SPDX-License-Identifier: Apache-2.0
// Named network namespaces: a bind mount of a fresh namespace onto a file, as iproute2 leaves them.
#include <fcntl.h>
#include <linux/magic.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include <atomic>
#include <cerrno>
#include <string>

#include "convert.h"
#include "js.h"
#include "link_change.h"
#include "netns.h"

namespace pw {

namespace {

// Work on a thread that lives for it alone; the promise resolves when it is done.
Napi::Value OnOwnThread(Napi::Env env, Executor::Work work) {
  auto executor = Executor::Start(env, "pw-netns-make");
  Napi::Promise promise = executor->Run(env, std::move(work));
  executor->Close(env);
  return promise;
}

void MakeParent(const std::string& path) {
  size_t slash = path.rfind('/');
  if (slash == std::string::npos || slash == 0) return;
  std::string parent = path.substr(0, slash);
  if (mkdir(parent.c_str(), 0755) < 0 && errno != EEXIST) throw KernelError(errno, "mkdir", parent);
}

// The calling thread moves into the namespace that it makes, and ends.
void Make(const std::string& path) {
  MakeParent(path);
  Fd file(open(path.c_str(), O_RDONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0444));
  if (!file) throw KernelError(errno, "open", path);
  bool mounted = false;
  try {
    if (unshare(CLONE_NEWNET) < 0) throw KernelError(errno, "unshare", path);
    if (mount("/proc/thread-self/ns/net", path.c_str(), nullptr, MS_BIND, nullptr) < 0) {
      throw KernelError(errno, "mount", path);
    }
    mounted = true;
    std::atomic<uint64_t> writes{0};
    NetlinkSocket socket(&writes);
    LinkSettings up;
    up.up = true;
    ChangeLink(socket, {0, "lo"}, up);
  } catch (...) {
    if (mounted) umount2(path.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW);
    unlink(path.c_str());
    throw;
  }
}

// Only what Make() leaves is removed: a namespace's bind mount, or the empty file below it.
void Remove(const std::string& path) {
  struct statfs fs;
  if (statfs(path.c_str(), &fs) < 0) {
    if (errno == ENOENT) return;
    throw KernelError(errno, "statfs", path);
  }
  if (fs.f_type == NSFS_MAGIC && umount2(path.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW) < 0) {
    throw KernelError(errno, "umount", path);
  }
  struct stat st;
  if (lstat(path.c_str(), &st) < 0) {
    if (errno == ENOENT) return;
    throw KernelError(errno, "stat", path);
  }
  if (!S_ISREG(st.st_mode) || st.st_size != 0) {
    throw KernelError(EINVAL, "unlink", path, "not a network namespace's file");
  }
  if (unlink(path.c_str()) < 0 && errno != ENOENT) throw KernelError(errno, "unlink", path);
}

Napi::Value CreateNetns(const Napi::CallbackInfo& info) {
  std::string path = ToText(info[0], "path");
  return OnOwnThread(info.Env(), [path] { Make(path); });
}

Napi::Value RemoveNetns(const Napi::CallbackInfo& info) {
  std::string path = ToText(info[0], "path");
  return OnOwnThread(info.Env(), [path] { Remove(path); });
}

}  // namespace

void InitNetnsMake(Napi::Env, Napi::Object exports) {
  Export<CreateNetns>(exports, "createNetns");
  Export<RemoveNetns>(exports, "removeNetns");
}

}  // namespace pw
