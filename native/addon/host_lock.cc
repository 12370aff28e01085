// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include "error.h"
#include "host.h"

namespace pw::host {

// flock(2) belongs to the open file, so the kernel lets go of it with the process, however that ends.
int LockDirectory(const std::string& path) {
  int fd = open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) throw KernelError(errno, "open", path);
  if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
    int err = errno;
    close(fd);
    throw KernelError(err, "flock", path);
  }
  return fd;
}

}  // namespace pw::host
