// The kernel as a frame source: BPF_PROG_TEST_RUN with live frames (Linux 5.18) puts copies of one frame on a pod's
// veth, 64 at a time. The other end, in the host, builds socket buffers from them and hands them to the datapath there.
// A sender in user space costs more a frame (1.6 us by AF_PACKET here) than any datapath does, and would hide what they
// differ in.
//
// The CPU time of this thread is the measure: the veths hand frames on in softirq context on the sender's own core, so
// everything up to the sink is charged to this thread (kernels without CONFIG_IRQ_TIME_ACCOUNTING charge softirqs to
// whom they interrupt), and what other processes do on the machine is not.
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "measure.h"

enum { BATCH = 64, RUN = 32 * BATCH };

struct source {
  struct bpf_object* object;
  int source;
  int inlet;
};

static struct source load(const char* path, unsigned to) {
  struct source s = {.object = bpf_object__open(path)};
  struct bpf_map* map;

  if (!s.object) fail(path);
  bpf_object__for_each_map(map, s.object) {
    if (bpf_map__is_internal(map) && bpf_map__set_initial_value(map, &to, sizeof(to))) fail("source_to");
  }
  if (bpf_object__load(s.object)) fail(path);
  s.source = bpf_program__fd(bpf_object__find_program_by_name(s.object, "source"));
  s.inlet = bpf_program__fd(bpf_object__find_program_by_name(s.object, "inlet"));
  return s;
}

int main(int argc, char** argv) {
  LIBBPF_OPTS(bpf_test_run_opts, run, .repeat = RUN, .batch_size = BATCH, .flags = BPF_F_TEST_XDP_LIVE_FRAMES);
  unsigned char frame[FRAME_MAX];
  struct source s;
  struct span span;

  if (argc == 5 && !strcmp(argv[1], "inlet")) {
    unsigned port = enter(argv[3], argv[4]);

    s = load(argv[2], 0);
    if (bpf_xdp_attach((int)port, s.inlet, XDP_FLAGS_DRV_MODE, NULL)) fail("bpf_xdp_attach");
    return 0;
  }
  if (argc != 9 || strcmp(argv[1], "send")) {
    fprintf(stderr,
            "usage: live inlet OBJECT HOST-NETNS PORT\n"
            "       live send OBJECT NETNS INTERFACE CPU CPU-SECONDS WALL-SECONDS FRAME-IN-HEX\n");
    return 1;
  }
  s = load(argv[2], enter(argv[3], argv[4]));
  run.data_in = frame;
  run.data_size_in = (unsigned)parse_hex(argv[8], frame);
  pin(atoi(argv[5]));
  span = begin(atof(argv[6]), atof(argv[7]));
  while (goes_on(&span)) {
    if (bpf_prog_test_run_opts(s.source, &run)) fail("BPF_PROG_TEST_RUN");
    span.frames += RUN;
  }
  print(&span);
  return 0;
}
