// Runs a CNI plugin ADD, CHECK, DEL, ADD, CHECK, DEL … from inside the host's network namespace, for all pods at the
// same time, and prints as JSON how long each call took from fork to the plugin's end. The same for every plugin, and
// light: what it costs itself is a vfork, an exec and two pipes.
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

/* The configuration as CHECK wants it: with the result of ADD, which is in `reply`. */
static const char* with_result(const char* config) {
  static char text[2 * REPLY_MAX];
  const char* end = strrchr(config, '}');

  if (!end) fail("config");
  snprintf(text, sizeof(text), "%.*s,\"prevResult\":%s}", (int)(end - config), config, reply);
  return text;
}

struct job {
  const char* plugin;
  const char* prefix;
  const char* config;
  int count;
  int check; /* CHECK is called, too */
};

/* All calls of one pod; one JSON object a cycle. */
static void work(const struct job* job, int worker, const char* pod, FILE* out) {
  char command[32], container[64], netns[4096], interface[] = "CNI_IFNAME=eth0";
  char path[] = "CNI_PATH=/usr/lib/cni:/opt/cni/bin";
  char programs[] = "PATH=/usr/sbin:/usr/bin:/sbin:/bin"; /* the stock plugin runs nft and iptables */
  char* env[] = {command, container, netns, interface, path, programs, NULL};

  snprintf(netns, sizeof(netns), "CNI_NETNS=%s", pod);
  for (int i = 0; i < job->count; i++) {
    double add, del, check = 0;

    snprintf(container, sizeof(container), "CNI_CONTAINERID=%s%d-%d", job->prefix, worker, i);
    strcpy(command, "CNI_COMMAND=ADD");
    add = call(job->plugin, env, job->config);
    if (job->check) {
      strcpy(command, "CNI_COMMAND=CHECK");
      check = call(job->plugin, env, with_result(job->config));
    }
    strcpy(command, "CNI_COMMAND=DEL");
    del = call(job->plugin, env, job->config);
    fprintf(out, "{\"add\":%.3f,\"check\":%.3f,\"del\":%.3f}\n", add, check, del);
  }
}

int main(int argc, char** argv) {
  enum { PODS = 7, PODS_MAX = 64 };
  struct job job;
  FILE* results[PODS_MAX];
  int fd, n = argc - PODS, failed = 0, any = 0;
  char line[256];

  if (n < 1 || n > PODS_MAX) {
    fprintf(stderr, "usage: spawn HOST-NETNS PLUGIN CONTAINER-PREFIX COUNT CHECK:0|1 CONFIG POD-NETNS...\n");
    return 1;
  }
  fd = open(argv[1], O_RDONLY | O_CLOEXEC);
  if (fd < 0 || setns(fd, CLONE_NEWNET)) fail(argv[1]);
  close(fd);
  job = (struct job){argv[2], argv[3], argv[6], atoi(argv[4]), atoi(argv[5])};
  for (int i = 0; i < n; i++) {
    int ends[2];

    if (pipe2(ends, O_CLOEXEC)) fail("pipe2");
    switch (fork()) {
      case -1:
        fail("fork");
        break;
      case 0: {
        FILE* out = fdopen(ends[1], "w");

        work(&job, i, argv[PODS + i], out);
        fclose(out); /* what it holds is written at the end: nothing is, between two calls */
        exit(0);
      }
      default:
        close(ends[1]);
        results[i] = fdopen(ends[0], "r");
    }
  }
  printf("[");
  for (int i = 0; i < n; i++)
    while (fgets(line, sizeof(line), results[i])) printf("%s%s", any++ ? "," : "", line);
  printf("]\n");
  for (int i = 0; i < n; i++) {
    int status;

    wait(&status);
    failed |= status;
  }
  return failed ? 1 : 0;
}
