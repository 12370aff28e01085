// SPDX-License-Identifier: Apache-2.0
// One HTTP request over a unix socket, with deadlines for everything.
#pragma once

#include <stdint.h>

#include "json.h"

enum outcome {
  ANSWERED,
  AWAY,       // nobody accepted the connection before the deadline
  BROKEN,     // connected, but no whole answer came
  UNTRUSTED,  // the peer is neither root nor this user
};

struct answer {
  unsigned status;
  const char* body;
  size_t body_len;
  char why[160];  // for all but ANSWERED
};

int64_t now_ms(void);  // CLOCK_MONOTONIC

// Connects until `connect_until`, then sends and reads until `until`. `path` fits sun_path. `room` holds the answer.
enum outcome ask_daemon(const char* path, const struct buffer* body, int64_t connect_until, int64_t until,
                        struct buffer* room, struct answer* answer);
