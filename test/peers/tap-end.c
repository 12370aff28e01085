// SPDX-License-Identifier: Apache-2.0
// Has a tap open as a VM has: `tap-end NETNS NAME QUEUES [ID]`; ID: of user and group. Each line of stdin is a queue's
// number and a frame in hex that the VM sends; each line of stdout is one that it receives. Every frame has a vnet
// header before it: all zero, or of TCP segmentation if it is longer than an MTU of 1500 allows. It takes such frames
// as well, as the driver of a VM does.
#define _GNU_SOURCE
#include <err.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_ether.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { MAX_QUEUES = 8, HEADER = sizeof(struct virtio_net_hdr), FRAME = 65536, SEGMENT = 1400 };

static unsigned char buffer[HEADER + FRAME];
static char line[2 * FRAME + 16];

static int open_device(void) {
  int fd = open("/dev/net/tun", O_RDWR);
  if (fd < 0) err(1, "/dev/net/tun");
  return fd;
}

static void become_queue(int fd, const char* name, int queues) {
  struct ifreq request = {0};
  strncpy(request.ifr_name, name, IFNAMSIZ - 1);
  request.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR | (queues > 1 ? IFF_MULTI_QUEUE : 0);
  if (ioctl(fd, TUNSETIFF, &request) < 0) err(1, "TUNSETIFF %s", name);
  if (ioctl(fd, TUNSETOFFLOAD, TUN_F_CSUM | TUN_F_TSO4) < 0) err(1, "TUNSETOFFLOAD %s", name);
}

static void receive(int fd, int queue) {
  ssize_t got = read(fd, buffer, sizeof buffer);
  if (got < HEADER) err(1, "read");
  printf("%d ", queue);
  for (ssize_t i = HEADER; i < got; i++) printf("%02x", buffer[i]);
  putchar('\n');
  fflush(stdout);
}

static void transmit(const int* fds) {
  char* text;
  size_t length = 0;
  int queue = (int)strtol(line, &text, 10);
  struct virtio_net_hdr header = {0};
  for (text++; sscanf(text, "%2hhx", &buffer[HEADER + length]) == 1; text += 2) length++;
  if (length > ETH_FRAME_LEN) {
    header.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
    header.gso_type = VIRTIO_NET_HDR_GSO_TCPV4;
    header.hdr_len = ETH_HLEN + 20 + 20;
    header.gso_size = SEGMENT;
    header.csum_start = ETH_HLEN + 20;
    header.csum_offset = 16;
  }
  memcpy(buffer, &header, HEADER);
  if (write(fds[queue], buffer, HEADER + length) < 0) printf("error %m\n");
  fflush(stdout);
}

int main(int argc, char** argv) {
  struct pollfd polled[MAX_QUEUES + 1];
  int fds[MAX_QUEUES];
  if (argc < 4) errx(1, "usage: tap-end NETNS NAME QUEUES [ID]");
  int queues = atoi(argv[3]);
  int netns = open(argv[1], O_RDONLY);
  if (netns < 0 || setns(netns, CLONE_NEWNET) < 0) err(1, "%s", argv[1]);
  // The device file may be root's alone; whether the tap may be opened is asked of the user.
  for (int i = 0; i < queues; i++) fds[i] = open_device();
  if (argc > 4 && (setgid((gid_t)atoi(argv[4])) < 0 || setuid((uid_t)atoi(argv[4])) < 0)) err(1, "setuid");
  for (int i = 0; i < queues; i++) {
    become_queue(fds[i], argv[2], queues);
    polled[i] = (struct pollfd){.fd = fds[i], .events = POLLIN};
  }
  polled[queues] = (struct pollfd){.fd = 0, .events = POLLIN};
  setvbuf(stdin, NULL, _IONBF, 0);
  puts("ready");
  fflush(stdout);
  for (;;) {
    if (poll(polled, (nfds_t)queues + 1, -1) < 0) err(1, "poll");
    for (int i = 0; i < queues; i++) {
      if (polled[i].revents & POLLIN) receive(fds[i], i);
    }
    if (polled[queues].revents != 0) {
      if (fgets(line, sizeof line, stdin) == NULL) return 0;
      transmit(fds);
    }
  }
}
