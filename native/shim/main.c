// SPDX-License-Identifier: Apache-2.0
// The CNI plugin that container runtimes start: hands the request to portwrightd and copies its answer. It must start
// in about a millisecond, so it is static, allocates nothing and knows of CNI only what has to work without the daemon:
// VERSION, the errors of a daemon that is away, and a DEL that may not get lost. CNI SPEC 1.1.0.
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "client.h"
#include "json.h"
#include "queue.h"

#ifndef PW_SOCKET_FILE
#define PW_SOCKET_FILE "/etc/portwright/cni-socket"
#endif
#ifndef PW_SOCKET
#define PW_SOCKET "/run/portwright/cni.sock"
#endif
#ifndef PW_STATE_DIR
#define PW_STATE_DIR "/var/lib/portwright"
#endif
#ifndef PW_TOTAL_MS
#define PW_TOTAL_MS 60000
#endif
#ifndef PW_VERSION
#define PW_VERSION "unknown"
#endif

#define MAX_STDIN (1 << 20)
#define MAX_ENV (128 << 10)

enum {
  CODE_VERSION = 1,
  CODE_ENVIRONMENT = 4,
  CODE_IO = 5,
  CODE_CONFIG = 7,
  CODE_TRY_LATER = 11,
  CODE_NOT_AVAILABLE = 50,
  CODE_OTHER = 999,
};

static const char* const kVersions[] = {"0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"};
static const size_t kVersionCount = sizeof(kVersions) / sizeof(kVersions[0]);

// Static and mostly untouched: pages that are not written cost nothing. A byte becomes at most six in JSON.
static char stdin_bytes[MAX_STDIN + 1];
static char request_bytes[6 * (MAX_STDIN + MAX_ENV) + 4096];
static char answer_bytes[4 << 20];
static char text_bytes[sizeof(answer_bytes)];

static struct buffer config = {.data = stdin_bytes, .cap = sizeof(stdin_bytes)};

static bool write_all(int fd, const char* data, size_t len) {
  while (len > 0) {
    ssize_t n = write(fd, data, len);
    if (n >= 0) {
      data += n;
      len -= (size_t)n;
    } else if (errno != EINTR) {
      return false;
    }
  }
  return true;
}

// The version asked for, if it is one that exists: else what a missing one means, or the newest.
static const char* version_of_config(const char* otherwise) {
  char bytes[16];
  struct buffer text = {.data = bytes, .cap = sizeof(bytes)};
  if (json_get_string(config.data, config.len, "cniVersion", &text) == JSON_FOUND) {
    for (size_t i = 0; i < kVersionCount; i++) {
      if (text.len == strlen(kVersions[i]) && memcmp(bytes, kVersions[i], text.len) == 0) return kVersions[i];
    }
  }
  return otherwise;
}

// Since when there is a verb; NULL: always.
static const char* since(const char* command) {
  if (strcmp(command, "CHECK") == 0) return "0.4.0";
  return strcmp(command, "GC") == 0 || strcmp(command, "STATUS") == 0 ? "1.1.0" : NULL;
}

// Whether the configuration is of an older version. What is none, or cannot be read, is for the daemon to refuse.
static bool is_before(const char* version) {
  char bytes[16];
  struct buffer text = {.data = bytes, .cap = sizeof(bytes)};
  enum json_find found = json_get_string(config.data, config.len, "cniVersion", &text);
  bool missing = found == JSON_ABSENT || (found == JSON_FOUND && text.len == 0);
  const char* asked = version_of_config(missing ? kVersions[0] : version);
  for (size_t i = 0; strcmp(kVersions[i], version) != 0; i++) {
    if (kVersions[i] == asked) return true;
  }
  return false;
}

// A CNI error on stdout. Returns the exit code.
static int fail(int code, const char* message, const char* details) {
  char bytes[4096], number[16];
  struct buffer out = {.data = bytes, .cap = sizeof(bytes)};
  snprintf(number, sizeof(number), "%d", code);
  buffer_text(&out, "{\"cniVersion\":\"");
  buffer_text(&out, version_of_config("1.1.0"));
  buffer_text(&out, "\",\"code\":");
  buffer_text(&out, number);
  buffer_text(&out, ",\"msg\":");
  buffer_json(&out, message, strnlen(message, 300));
  if (details[0] != '\0') {
    buffer_text(&out, ",\"details\":");
    buffer_json(&out, details, strnlen(details, 300));
  }
  buffer_text(&out, "}\n");
  write_all(STDOUT_FILENO, out.data, out.len);
  return 1;
}

static int about(void) {
  char bytes[512];
  struct buffer out = {.data = bytes, .cap = sizeof(bytes)};
  buffer_text(&out, "CNI portwright plugin " PW_VERSION "\nCNI protocol versions supported: ");
  for (size_t i = 0; i < kVersionCount; i++) {
    if (i > 0) buffer_text(&out, ", ");
    buffer_text(&out, kVersions[i]);
  }
  buffer_text(&out, "\n");
  write_all(STDERR_FILENO, out.data, out.len);
  return 0;
}

static int answer_version(void) {
  char bytes[512];
  struct buffer out = {.data = bytes, .cap = sizeof(bytes)};
  buffer_text(&out, "{\"cniVersion\":\"");
  buffer_text(&out, version_of_config("1.1.0"));
  buffer_text(&out, "\",\"supportedVersions\":[");
  for (size_t i = 0; i < kVersionCount; i++) {
    if (i > 0) buffer_text(&out, ",");
    buffer_json(&out, kVersions[i], strlen(kVersions[i]));
  }
  buffer_text(&out, "]}\n");
  return write_all(STDOUT_FILENO, out.data, out.len) ? 0 : 1;
}

static bool read_stdin(void) {
  while (config.len < config.cap) {
    ssize_t n = read(STDIN_FILENO, config.data + config.len, config.cap - config.len);
    if (n == 0) return true;
    if (n > 0)
      config.len += (size_t)n;
    else if (errno != EINTR)
      return false;
  }
  return true;
}

// ---- where the daemon is -------------------------------------------------------------------------------------------

// A path from the network configuration into `path`. 1: found, 0: none, -1: unusable.
static int path_of_config(const char* key, char* path, size_t size) {
  struct buffer out = {.data = path, .cap = size - 1};
  enum json_find found = json_get_string(config.data, config.len, key, &out);
  path[out.len] = '\0';
  // What is not JSON is for the daemon to refuse; what an older runtime left behind must still be deletable.
  if (found == JSON_ABSENT || found == JSON_MALFORMED) return 0;
  return found == JSON_FOUND && path[0] == '/' && strlen(path) == out.len ? 1 : -1;
}

// The first line of the fixed file. 1: found, 0: no such file, -1: unusable.
static int path_of_file(char* path, size_t size) {
  int fd = open(PW_SOCKET_FILE, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
  if (fd < 0) return errno == ENOENT || errno == ENOTDIR ? 0 : -1;
  struct stat st;
  bool safe = fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && (st.st_uid == 0 || st.st_uid == geteuid()) &&
              (st.st_mode & 022) == 0;
  ssize_t n = safe ? read(fd, path, size - 1) : -1;
  close(fd);
  if (n <= 0) return -1;
  path[n] = '\0';
  path[strcspn(path, "\r\n")] = '\0';
  return path[0] == '/' ? 1 : -1;
}

// ---- the request ---------------------------------------------------------------------------------------------------

extern char** environ;

// The first of equal names counts, as for getenv: the daemon must not see another CNI_COMMAND than this program.
static bool seen_before(char** variable, size_t name_len) {
  for (char** other = environ; other != variable; other++) {
    if (strncmp(*other, *variable, name_len + 1) == 0) return true;
  }
  return false;
}

static bool make_request(struct buffer* out) {
  size_t used = 0;
  bool first = true;
  buffer_text(out, "{\"env\":{");
  for (char** variable = environ; *variable != NULL; variable++) {
    const char* equals = strchr(*variable, '=');
    if (equals == NULL || strncmp(*variable, "CNI_", 4) != 0) continue;
    size_t name_len = (size_t)(equals - *variable);
    if (seen_before(variable, name_len)) continue;
    used += strlen(*variable);
    if (used > MAX_ENV) return false;
    if (!first) buffer_text(out, ",");
    first = false;
    buffer_json(out, *variable, name_len);
    buffer_text(out, ":");
    buffer_json(out, equals + 1, strlen(equals + 1));
  }
  buffer_text(out, "},\"stdin\":");
  buffer_json(out, config.data, config.len);
  buffer_text(out, "}");
  return !out->full;
}

// Copies stdout, stderr and the exit code out of the daemon's answer. -1: it is none.
static int copy_answer(const struct answer* answer) {
  unsigned exit_code;
  if (json_get_number(answer->body, answer->body_len, "exitCode", &exit_code) != JSON_FOUND || exit_code > 1) return -1;
  struct buffer out = {.data = text_bytes, .cap = sizeof(text_bytes)};
  if (json_get_string(answer->body, answer->body_len, "stderr", &out) != JSON_FOUND) return -1;
  size_t stderr_len = out.len;
  if (json_get_string(answer->body, answer->body_len, "stdout", &out) != JSON_FOUND) return -1;
  write_all(STDERR_FILENO, out.data, stderr_len);
  if (!write_all(STDOUT_FILENO, out.data + stderr_len, out.len - stderr_len)) return 1;
  return (int)exit_code;
}

// A DEL that the daemon did not take: kept for later. The runtime may forget the container.
static int keep_delete(const struct buffer* request, const char* why) {
  char state_dir[512] = PW_STATE_DIR, failure[256], details[300];
  if (path_of_config("portwrightStateDir", state_dir, sizeof(state_dir)) < 0)
    return fail(CODE_CONFIG, "portwrightStateDir must be an absolute path", "");
  if (state_dir[0] == '\0') strcpy(state_dir, PW_STATE_DIR);
  if (queue_delete(state_dir, request, failure, sizeof(failure))) return 0;
  snprintf(details, sizeof(details), "daemon: %.120s; queue: %.160s", why, failure);
  return fail(CODE_IO, "portwrightd is away and the deletion cannot be kept for later", details);
}

enum { RETRY_MS = 100 };

static int forward(const char* command, const char* socket_path) {
  bool is_add = strcmp(command, "ADD") == 0;
  bool is_del = strcmp(command, "DEL") == 0;
  struct buffer request = {.data = request_bytes, .cap = sizeof(request_bytes)};
  if (!make_request(&request)) return fail(CODE_ENVIRONMENT, "the CNI_* variables are too long", "");

  struct buffer room;
  struct answer answer;
  int64_t now = now_ms();
  int64_t patience = is_add ? 10000 : is_del ? 2000 : 0;
  enum outcome outcome;
  for (;;) {
    room = (struct buffer){.data = answer_bytes, .cap = sizeof(answer_bytes)};
    answer = (struct answer){.status = 0, .body = "", .body_len = 0, .why = ""};
    outcome = ask_daemon(socket_path, &request, now + patience, now + PW_TOTAL_MS, &room, &answer);
    // 503: refused before anything was done. A daemon that is ending says so, and its successor takes the request.
    if (!is_add || outcome != ANSWERED || answer.status != 503 || now_ms() + RETRY_MS > now + patience) break;
    nanosleep(&(struct timespec){.tv_nsec = RETRY_MS * 1000000}, NULL);
  }

  if (outcome == UNTRUSTED) return fail(CODE_OTHER, "the daemon's socket is not trustworthy", answer.why);
  if (outcome == ANSWERED) {
    // 4xx: the same request would be refused later, too; but not for 408 (too slow) and 429 (too many).
    bool refused = answer.status >= 400 && answer.status < 500 && answer.status != 408 && answer.status != 429;
    // A DEL that the daemon was too busy for is not reported as failed: it waits in the queue.
    if (answer.status == 200 || refused || !is_del) {
      int exit_code = copy_answer(&answer);
      if (exit_code >= 0) return exit_code;
    }
    if (refused && answer.status == 413) return fail(CODE_CONFIG, "the network configuration is too long", "");
    snprintf(answer.why, sizeof(answer.why), "it answered with HTTP status %u%s", answer.status,
             answer.status == 200 ? " and something that cannot be read" : "");
    if (refused) return fail(CODE_OTHER, "portwrightd refused the request", answer.why);
  }

  if (is_del) return keep_delete(&request, answer.why);
  char details[300];
  const char* version = since(command);
  if (version != NULL && is_before(version)) {
    snprintf(details, sizeof(details), "%s needs cniVersion %s or later", command, version);
    return fail(CODE_VERSION, details, "");
  }
  snprintf(details, sizeof(details), "%.107s: %s", socket_path, answer.why);
  if (strcmp(command, "STATUS") == 0) return fail(CODE_NOT_AVAILABLE, "portwrightd is not available", details);
  return fail(CODE_TRY_LATER, outcome == AWAY ? "portwrightd cannot be reached" : "portwrightd did not answer",
              details);
}

int main(void) {
  signal(SIGPIPE, SIG_IGN);
  const char* command = getenv("CNI_COMMAND");
  if (command == NULL || command[0] == '\0') return about();
  if (!read_stdin()) return fail(CODE_IO, "stdin cannot be read", strerror(errno));
  if (strcmp(command, "VERSION") == 0) return answer_version();
  if (config.len > MAX_STDIN) return fail(CODE_CONFIG, "the network configuration is longer than 1 MiB", "");
  static const char* const forwarded[] = {"ADD", "DEL", "CHECK", "GC", "STATUS"};
  bool known = false;
  for (size_t i = 0; i < sizeof(forwarded) / sizeof(forwarded[0]); i++) known |= strcmp(command, forwarded[i]) == 0;
  if (!known) return fail(CODE_ENVIRONMENT, "unknown CNI_COMMAND", command);

  static char path[4096];
  int found = path_of_config("portwrightSocket", path, sizeof(path));
  if (found < 0) return fail(CODE_CONFIG, "portwrightSocket must be an absolute path", "");
  if (found == 0) found = path_of_file(path, sizeof(path));
  if (found < 0) return fail(CODE_CONFIG, PW_SOCKET_FILE " must be a file of root's with the socket's path", "");
  if (found == 0) strcpy(path, PW_SOCKET);
  if (strlen(path) >= sizeof(((struct sockaddr_un*)0)->sun_path))
    return fail(CODE_CONFIG, "the socket's path is longer than 107 bytes", path);
  return forward(command, path);
}
