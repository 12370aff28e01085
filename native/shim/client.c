// SPDX-License-Identifier: Apache-2.0
#include "client.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

int64_t now_ms(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static bool wait_for(int fd, short events, int64_t until) {
  for (;;) {
    int64_t left = until - now_ms();
    if (left <= 0) return false;
    struct pollfd p = {.fd = fd, .events = events, .revents = 0};
    int n = poll(&p, 1, left > 60000 ? 60000 : (int)left);
    if (n > 0) return true;
    if (n < 0 && errno != EINTR) return false;
  }
}

// A connected, non-blocking socket, or -1 with errno. A unix socket connects at once or not at all: when the backlog is
// full the kernel says EAGAIN (net/unix/af_unix.c), and then polling would not help, only trying again.
static int connect_once(const char* path) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  memcpy(address.sun_path, path, strlen(path) + 1);
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return -1;
  if (connect(fd, (struct sockaddr*)&address, sizeof(address)) == 0) return fd;
  int error = errno;
  close(fd);
  errno = error;
  return -1;
}

static int connect_until_deadline(const char* path, int64_t until) {
  for (int64_t pause = 10;; pause = pause < 160 ? pause * 2 : 200) {
    int fd = connect_once(path);
    if (fd >= 0) return fd;
    int error = errno;
    bool may_come = error == ENOENT || error == ECONNREFUSED || error == EAGAIN || error == EINTR;
    int64_t left = until - now_ms();
    if (!may_come || left <= 0) {
      errno = error;
      return -1;
    }
    if (pause > left) pause = left;
    struct timespec t = {.tv_sec = 0, .tv_nsec = (long)pause * 1000000};
    nanosleep(&t, NULL);
  }
}

static bool send_all(int fd, const char* data, size_t len, int64_t until) {
  while (len > 0) {
    ssize_t n = send(fd, data, len, MSG_NOSIGNAL);
    if (n >= 0) {
      data += n;
      len -= (size_t)n;
    } else if (errno == EAGAIN) {
      if (!wait_for(fd, POLLOUT, until)) return false;
    } else if (errno != EINTR) {
      return false;
    }
  }
  return true;
}

// In one piece if there is room, so that who reads it is woken once.
static bool send_both(int fd, const char* head, size_t head_len, const char* body, size_t body_len, int64_t until) {
  struct iovec parts[] = {{(void*)head, head_len}, {(void*)body, body_len}};
  struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
  ssize_t n = sendmsg(fd, &message, MSG_NOSIGNAL);
  if (n < 0 && errno != EAGAIN && errno != EINTR) return false;
  size_t sent = n < 0 ? 0 : (size_t)n;
  size_t of_head = sent < head_len ? sent : head_len;
  size_t of_body = sent - of_head;
  return send_all(fd, head + of_head, head_len - of_head, until) &&
         send_all(fd, body + of_body, body_len - of_body, until);
}

static const char* find(const char* in, size_t len, const char* what) {
  return memmem(in, len, what, strlen(what));
}

// Reads the head: its status, and the length of the body, or -1 for "until the connection closes".
static bool parse_head(const char* head, size_t len, unsigned* status, long* length) {
  if (len < 12 || memcmp(head, "HTTP/1.", 7) != 0 || head[8] != ' ') return false;
  *status = 0;
  for (int i = 9; i < 12; i++) {
    if (head[i] < '0' || head[i] > '9') return false;
    *status = *status * 10 + (unsigned)(head[i] - '0');
  }
  *length = -1;
  const char* end = head + len;
  for (const char* line = find(head, len, "\r\n"); line != NULL; line = find(line, (size_t)(end - line), "\r\n")) {
    line += 2;
    size_t left = (size_t)(end - line);
    if (left > 18 && strncasecmp(line, "transfer-encoding:", 18) == 0) return false;
    if (left < 15 || strncasecmp(line, "content-length:", 15) != 0) continue;
    const char* at = line + 15;
    while (at < end && (*at == ' ' || *at == '\t')) at++;
    long value = 0;
    const char* first = at;
    for (; at < end && *at >= '0' && *at <= '9'; at++) {
      if (value > 100000000) return false;
      value = value * 10 + (*at - '0');
    }
    if (at == first) return false;
    *length = value;
  }
  return true;
}

// NULL, or what is wrong.
static const char* read_answer(int fd, int64_t until, struct buffer* room, struct answer* answer) {
  const char* head_end = NULL;
  long length = -1;
  for (;;) {
    if (head_end == NULL) {
      const char* blank = find(room->data, room->len, "\r\n\r\n");
      if (blank != NULL) {
        head_end = blank + 4;
        if (!parse_head(room->data, (size_t)(blank + 2 - room->data), &answer->status, &length))
          return "it sent something that is not HTTP";
      }
    }
    if (head_end != NULL) {
      size_t have = room->len - (size_t)(head_end - room->data);
      if (length >= 0 && have >= (size_t)length) {
        answer->body = head_end;
        answer->body_len = (size_t)length;
        return NULL;
      }
    }
    if (room->len == room->cap) return "its answer is too long";
    ssize_t n = recv(fd, room->data + room->len, room->cap - room->len, 0);
    if (n > 0) {
      room->len += (size_t)n;
    } else if (n == 0) {
      if (head_end == NULL || length >= 0) return "it closed the connection before it had answered";
      answer->body = head_end;
      answer->body_len = room->len - (size_t)(head_end - room->data);
      return NULL;
    } else if (errno == EAGAIN) {
      if (!wait_for(fd, POLLIN, until)) return "it did not answer in time";
    } else if (errno != EINTR) {
      return "the connection broke before it had answered";
    }
  }
}

enum outcome ask_daemon(const char* path, const struct buffer* body, int64_t connect_until, int64_t until,
                        struct buffer* room, struct answer* answer) {
  int fd = connect_until_deadline(path, connect_until);
  if (fd < 0) {
    snprintf(answer->why, sizeof(answer->why), "%s", strerror(errno));
    return AWAY;
  }
  struct ucred peer;
  socklen_t size = sizeof(peer);
  if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0 || size != sizeof(peer) ||
      (peer.uid != 0 && peer.uid != geteuid())) {
    close(fd);
    snprintf(answer->why, sizeof(answer->why), "whoever listens there is not root");
    return UNTRUSTED;
  }
  char head[160];
  int head_len = snprintf(head, sizeof(head),
                          "POST /cni HTTP/1.1\r\nHost: portwright\r\nContent-Type: application/json\r\n"
                          "Content-Length: %zu\r\nConnection: close\r\n\r\n",
                          body->len);
  // A server that refuses a long body answers and closes while we still send: its answer counts, not our EPIPE.
  send_both(fd, head, (size_t)head_len, body->data, body->len, until);
  const char* why = read_answer(fd, until, room, answer);
  close(fd);
  if (why == NULL) return ANSWERED;
  snprintf(answer->why, sizeof(answer->why), "%s", why);
  return BROKEN;
}
