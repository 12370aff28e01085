// Runs a CNI plugin ADD, DEL, ADD, DEL … for one pod after the other, from inside the host's network namespace, and
// prints as JSON how long each call took from fork to the plugin's end. The same for every plugin, and light: what it
// costs itself is a vfork, an exec and two pipes.
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { REPLY_MAX = 65536 };

static char reply[REPLY_MAX];

static void fail(const char* what) {
  fprintf(stderr, "spawn: %s: %s\n", what, strerror(errno));
  exit(1);
}

static double milliseconds(void) {
  struct timespec t;

  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

/* One call; what the plugin said is in `reply`. */
static double call(const char* plugin, char* const env[], const char* config) {
  char* const argv[] = {(char*)plugin, NULL};
  posix_spawn_file_actions_t actions;
  int in[2], out[2], status, err;
  double begun;
  size_t n = 0;
  ssize_t got;
  pid_t pid;

  if (pipe2(in, O_CLOEXEC) || pipe2(out, O_CLOEXEC)) fail("pipe2");
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, in[0], 0);
  posix_spawn_file_actions_adddup2(&actions, out[1], 1);
  begun = milliseconds();
  err = posix_spawn(&pid, plugin, &actions, NULL, argv, env);
  if (err) {
    errno = err;
    fail(plugin);
  }
  close(in[0]);
  close(out[1]);
  if (write(in[1], config, strlen(config)) < 0) fail("write");
  close(in[1]);
  while (n < REPLY_MAX - 1 && (got = read(out[0], reply + n, REPLY_MAX - 1 - n)) > 0) n += (size_t)got;
  reply[n] = 0;
  if (waitpid(pid, &status, 0) < 0) fail("waitpid");
  begun = milliseconds() - begun;
  close(out[0]);
  posix_spawn_file_actions_destroy(&actions);
  if (!WIFEXITED(status) || WEXITSTATUS(status)) {
    fprintf(stderr, "spawn: %s %s: %s\n", plugin, env[0], reply);
    exit(1);
  }
  return begun;
}

int main(int argc, char** argv) {
  char command[32], container[64], netns[4096], interface[] = "CNI_IFNAME=eth0";
  char path[] = "CNI_PATH=/usr/lib/cni:/opt/cni/bin";
  char* env[] = {command, container, netns, interface, path, NULL};
  int count, fd;

  if (argc != 7) {
    fprintf(stderr, "usage: spawn HOST-NETNS PLUGIN POD-NETNS CONTAINER-PREFIX COUNT CONFIG\n");
    return 1;
  }
  fd = open(argv[1], O_RDONLY | O_CLOEXEC);
  if (fd < 0 || setns(fd, CLONE_NEWNET)) fail(argv[1]);
  close(fd);
  snprintf(netns, sizeof(netns), "CNI_NETNS=%s", argv[3]);
  count = atoi(argv[5]);
  printf("[");
  for (int i = 0; i < count; i++) {
    double add, del;

    snprintf(container, sizeof(container), "CNI_CONTAINERID=%s%d", argv[4], i);
    strcpy(command, "CNI_COMMAND=ADD");
    add = call(argv[2], env, argv[6]);
    strcpy(command, "CNI_COMMAND=DEL");
    del = call(argv[2], env, argv[6]);
    printf("%s{\"add\":%.3f,\"del\":%.3f}", i ? "," : "", add, del);
  }
  printf("]\n");
  return 0;
}
