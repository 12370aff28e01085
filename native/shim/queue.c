// SPDX-License-Identifier: Apache-2.0
#include "queue.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

// Ours alone, and no link: nobody else may plant requests there.
static int open_directory(int at, const char* name, bool create) {
  if (create && mkdirat(at, name, 0700) < 0 && errno != EEXIST) return -1;
  int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  struct stat st;
  if (fd < 0) return -1;
  if (fstat(fd, &st) < 0 || (st.st_uid != 0 && st.st_uid != geteuid()) || (st.st_mode & 022) != 0) {
    close(fd);
    errno = EPERM;
    return -1;
  }
  return fd;
}

static bool write_file(int dir, const char* name, const struct buffer* body) {
  int fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (fd < 0) return false;
  size_t done = 0;
  bool ok = true;
  while (ok && done < body->len) {
    ssize_t n = write(fd, body->data + done, body->len - done);
    if (n >= 0)
      done += (size_t)n;
    else if (errno != EINTR)
      ok = false;
  }
  ok = ok && fsync(fd) == 0;
  int error = errno;
  if (close(fd) < 0 && ok) {
    error = errno;
    ok = false;
  }
  errno = error;
  return ok;
}

bool queue_delete(const char* state_dir, const struct buffer* body, char* why, size_t why_size) {
  struct timespec t;
  clock_gettime(CLOCK_REALTIME, &t);
  char name[64], temporary[72];
  // The time comes first and has a fixed width: the daemon takes them in the order of their names.
  snprintf(name, sizeof(name), "%012lld.%09ld-%d.json", (long long)t.tv_sec, t.tv_nsec, (int)getpid());
  snprintf(temporary, sizeof(temporary), ".%s.tmp", name);

  int state = open_directory(AT_FDCWD, state_dir, true);
  int dir = state < 0 ? -1 : open_directory(state, "deletes", true);
  bool made = false;
  if (dir >= 0) {
    made = write_file(dir, temporary, body) && renameat(dir, temporary, dir, name) == 0 && fsync(dir) == 0 &&
           fsync(state) == 0;
  }
  int error = errno;
  if (!made && dir >= 0) unlinkat(dir, temporary, 0);
  if (dir >= 0) close(dir);
  if (state >= 0) close(state);
  if (!made) snprintf(why, why_size, "%.100s/deletes: %s", state_dir, strerror(error));
  return made;
}
