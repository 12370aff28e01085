// A frame source in user space: AF_PACKET with PACKET_QDISC_BYPASS and sendmmsg, on one core. What a sender costs is in
// the figure; live.c keeps it out.
#include <linux/if_packet.h>
#include <sys/socket.h>

#include "measure.h"

enum { BATCH = 64 };

static int open_socket(unsigned ifindex) {
  struct sockaddr_ll address = {.sll_family = AF_PACKET, .sll_ifindex = (int)ifindex};
  int on = 1, fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0); /* protocol 0: it receives nothing */

  if (fd < 0) fail("socket");
  if (setsockopt(fd, SOL_PACKET, PACKET_QDISC_BYPASS, &on, sizeof(on))) fail("PACKET_QDISC_BYPASS");
  if (bind(fd, (struct sockaddr*)&address, sizeof(address))) fail("bind");
  return fd;
}

int main(int argc, char** argv) {
  unsigned char frame[FRAME_MAX];
  struct mmsghdr messages[BATCH];
  struct iovec data = {.iov_base = frame};
  struct span span;
  int fd;

  if (argc != 7) {
    fprintf(stderr, "usage: send NETNS INTERFACE CPU CPU-SECONDS WALL-SECONDS FRAME-IN-HEX\n");
    return 1;
  }
  data.iov_len = parse_hex(argv[6], frame);
  memset(messages, 0, sizeof(messages));
  for (int i = 0; i < BATCH; i++) messages[i].msg_hdr = (struct msghdr){.msg_iov = &data, .msg_iovlen = 1};
  fd = open_socket(enter(argv[1], argv[2]));
  pin(atoi(argv[3]));
  span = begin(atof(argv[4]), atof(argv[5]));
  while (goes_on(&span)) {
    int sent = sendmmsg(fd, messages, BATCH, 0);

    if (sent > 0)
      span.frames += (unsigned)sent;
    else if (errno != ENOBUFS && errno != EINTR && errno != EAGAIN)
      fail("sendmmsg");
  }
  print(&span);
  return 0;
}
