// SPDX-License-Identifier: Apache-2.0
#include <linux/magic.h>
#include <sys/mount.h>
#include <sys/vfs.h>

#include "error.h"
#include "host.h"

namespace pw::host {

bool IsBpffs(const std::string& path) {
  struct statfs fs;
  if (statfs(path.c_str(), &fs) < 0) {
    if (errno == ENOENT || errno == ENOTDIR) return false;
    throw KernelError(errno, "statfs", path);
  }
  return static_cast<uint32_t>(fs.f_type) == BPF_FS_MAGIC;
}

void MountBpffs(const std::string& directory) {
  if (IsBpffs(directory)) return;
  if (mount("bpf", directory.c_str(), "bpf", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=0700") < 0) {
    throw KernelError(errno, "mount", directory);
  }
}

void UnmountBpffs(const std::string& directory) {
  // Never anything else that is mounted there.
  if (!IsBpffs(directory)) throw KernelError(EINVAL, "umount2", directory, "not a bpffs");
  if (umount2(directory.c_str(), UMOUNT_NOFOLLOW) < 0) throw KernelError(errno, "umount2", directory);
}

}  // namespace pw::host
