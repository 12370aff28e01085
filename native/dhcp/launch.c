// SPDX-License-Identifier: Apache-2.0
// Starts the DHCP client: bound to the daemon's life, in the managed network namespace. In place of setpriv(1), which
// sets its capabilities anew whatever it is asked for, and so calls capset(2): the service's filter of system calls has
// none. usage: portwright-dhcp-launch PARENT NAMESPACE PROGRAM [ARGUMENT]...
//   PARENT: process id of the daemon; NAMESPACE: a descriptor, or "-" for the daemon's own
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

enum { USAGE = 64, FAILED = 71 };

static int failed(const char* what) {
  (void)fprintf(stderr, "portwright-dhcp-launch: %s: %s\n", what, strerror(errno));
  return FAILED;
}

int main(int argc, char** argv) {
  if (argc < 4) return USAGE;
  if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) return failed("PR_SET_PDEATHSIG");
  // A parent that died before this was set sends no signal.
  if (getppid() != (pid_t)strtol(argv[1], NULL, 10)) return 0;
  if (strcmp(argv[2], "-") != 0) {
    int fd = (int)strtol(argv[2], NULL, 10);
    if (setns(fd, CLONE_NEWNET) != 0) return failed("setns");
    close(fd);
  }
  execv(argv[3], argv + 3);
  return failed(argv[3]);
}
