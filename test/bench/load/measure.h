// What the frame sources share: where they send from, for how long, and how they tell it.
#ifndef PORTWRIGHT_BENCH_MEASURE_H
#define PORTWRIGHT_BENCH_MEASURE_H

#include <errno.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { FRAME_MAX = 1514 };

static inline void fail(const char* what) {
  fprintf(stderr, "%s: %s\n", what, strerror(errno));
  exit(1);
}

/* Goes into the namespace; returns the interface's index there. */
static inline unsigned enter(const char* netns, const char* name) {
  int fd = open(netns, O_RDONLY | O_CLOEXEC);
  unsigned ifindex;

  if (fd < 0 || setns(fd, CLONE_NEWNET)) fail(netns);
  close(fd);
  ifindex = if_nametoindex(name);
  if (!ifindex) fail(name);
  return ifindex;
}

static inline void pin(int cpu) {
  cpu_set_t set;

  CPU_ZERO(&set);
  CPU_SET(cpu, &set);
  if (sched_setaffinity(0, sizeof(set), &set)) fail("sched_setaffinity");
}

static inline size_t parse_hex(const char* text, unsigned char* out) {
  size_t n = strlen(text) / 2;

  if (n < ETH_HLEN || n > FRAME_MAX) {
    fprintf(stderr, "a frame of %zu bytes\n", n);
    exit(1);
  }
  for (size_t i = 0; i < n; i++) {
    unsigned byte;

    if (sscanf(text + 2 * i, "%2x", &byte) != 1) {
      fprintf(stderr, "the frame is no hexadecimal text\n");
      exit(1);
    }
    out[i] = (unsigned char)byte;
  }
  return n;
}

static inline double seconds(clockid_t clock) {
  struct timespec t;

  clock_gettime(clock, &t);
  return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

struct span {
  double begun, begun_cpu, end, end_cpu;
  unsigned long long frames;
};

/* Until so much CPU time is used; on a machine that gives none, until so much wall time is over. */
static inline struct span begin(double cpu, double wall) {
  struct span s = {.begun = seconds(CLOCK_MONOTONIC), .begun_cpu = seconds(CLOCK_THREAD_CPUTIME_ID)};

  s.end = s.begun + wall;
  s.end_cpu = s.begun_cpu + cpu;
  return s;
}

static inline int goes_on(const struct span* s) {
  return seconds(CLOCK_THREAD_CPUTIME_ID) < s->end_cpu && seconds(CLOCK_MONOTONIC) < s->end;
}

static inline void print(const struct span* s) {
  printf("{\"frames\":%llu,\"seconds\":%.6f,\"cpuSeconds\":%.6f}\n", s->frames, seconds(CLOCK_MONOTONIC) - s->begun,
         seconds(CLOCK_THREAD_CPUTIME_ID) - s->begun_cpu);
}

#endif
