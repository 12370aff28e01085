// SPDX-License-Identifier: Apache-2.0
// What udhcpc runs at each event, in place of a shell script: it configures nothing and tells the daemon, in one line
// on descriptor 5, which it inherited. Fields are joined by tabs: the event, then name=value of what the daemon wants
// to know. One write of at most PIPE_BUF octets is never mixed with another (pipe(7)).
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { TO_DAEMON = 5, LINE_MAX_LENGTH = 512, VALUE_MAX_LENGTH = 48 };

struct line {
  char text[LINE_MAX_LENGTH];
  size_t length;
  bool overflow;
};

static void put(struct line* line, const char* text, size_t max) {
  for (size_t i = 0; text[i] != '\0'; i++) {
    if (i >= max || line->length >= sizeof line->text - 1) {
      line->overflow = true;
      return;
    }
    // A server chose some of these octets: none of them ends a field or a line.
    char c = text[i];
    line->text[line->length++] = c > ' ' && c < 0x7f ? c : '?';
  }
}

static void end(struct line* line, char with) {
  line->text[line->length++] = with;
}

int main(int argc, char** argv) {
  static const char* const names[] = {"interface", "ip", "mask", "serverid", "lease"};
  struct line line = {.length = 0};
  if (argc != 2) return 64;
  put(&line, argv[1], VALUE_MAX_LENGTH);
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    const char* value = getenv(names[i]);
    if (value == NULL) continue;
    end(&line, '\t');
    put(&line, names[i], VALUE_MAX_LENGTH);
    put(&line, "=", 1);
    put(&line, value, VALUE_MAX_LENGTH);
  }
  if (line.overflow) return 65;
  end(&line, '\n');
  return write(TO_DAEMON, line.text, line.length) == (ssize_t)line.length ? 0 : 74;
}
