// SPDX-License-Identifier: Apache-2.0
// The durable queue of deletions: a DEL that cannot reach the daemon is kept here and done when the daemon starts.
#pragma once

#include "json.h"

// Writes `body` to <state_dir>/deletes/. When it returns true the file survives a power cut; else `why` says what
// failed.
bool queue_delete(const char* state_dir, const struct buffer* body, char* why, size_t why_size);
