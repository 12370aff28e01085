// SPDX-License-Identifier: Apache-2.0
// As much JSON as the shim needs: write strings, and read single members of the outermost object. It never allocates
// and never recurses; what it reads may be anything.
#pragma once

#include <stdbool.h>
#include <stddef.h>

// Text that grows up to `cap` and then only remembers that it was cut.
struct buffer {
  char* data;
  size_t len, cap;
  bool full;
};

void buffer_add(struct buffer* b, const char* bytes, size_t len);
void buffer_text(struct buffer* b, const char* text);
// `bytes` as a JSON string with its quotes. Bytes from 0x80 on are copied: UTF-8 stays UTF-8.
void buffer_json(struct buffer* b, const char* bytes, size_t len);

enum json_find {
  JSON_MALFORMED,  // the text is not an object, as far as this scanner looks
  JSON_ABSENT,
  JSON_OTHER_TYPE,
  JSON_FOUND,
  JSON_TOO_LONG,  // does not fit into `out`
};

// The string member `key` of the outermost object, decoded into `out` (not NUL-terminated). Of equal keys the last one
// counts, as for JSON.parse.
enum json_find json_get_string(const char* text, size_t len, const char* key, struct buffer* out);
// The member `key`, a number 0..9999.
enum json_find json_get_number(const char* text, size_t len, const char* key, unsigned* out);
