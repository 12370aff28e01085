// SPDX-License-Identifier: Apache-2.0
// Plays systemd for tests of sd_notify: binds a unix datagram socket (argv[1], "@name" for an abstract one), says
// "ready" and then prints each datagram as one line of hexadecimal.
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

int main(int argc, char** argv) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  if (argc != 2 || strlen(argv[1]) >= sizeof(address.sun_path)) return 2;
  strcpy(address.sun_path, argv[1]);
  socklen_t length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(argv[1]));
  if (argv[1][0] == '@') address.sun_path[0] = '\0';
  int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0 || bind(fd, (struct sockaddr*)&address, length) < 0) return perror("bind"), 1;
  printf("ready\n");
  fflush(stdout);
  unsigned char message[4096];
  for (ssize_t n; (n = recv(fd, message, sizeof(message), 0)) >= 0; fflush(stdout)) {
    for (ssize_t i = 0; i < n; i++) printf("%02x", message[i]);
    printf("\n");
  }
  return 0;
}
